create function private.planned_change(p_scope text, p_session_id uuid, p_changes jsonb) returns setof private.series_change
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_what private.series_target := private.series_to_change(p_scope, p_session_id, p_changes);
begin
  return query
    select c.* from private.plan_series_change(v_what.series,
      private.changed_series(v_what.series, p_changes, v_what.from_date, v_what.is_split), v_what.from_date) c;
end;
$$;
comment on function private.planned_change(text, uuid, jsonb) is 'What public.plan_series_change does, for a holder of manage:series.';

create function public.plan_series_change(p_scope text, p_session_id uuid, p_changes jsonb)
returns table (session_date date, session_id uuid, action text, starts_at timestamptz, ends_at timestamptz, reason text, conflicts jsonb)
language sql volatile set search_path = ''
begin atomic
  select c.series_date, c.session_id, c.action, c.starts_at, c.ends_at, c.reason, c.conflicts
  from private.planned_change(p_scope, p_session_id, p_changes) c
  order by c.series_date;
end;
comment on function public.plan_series_change(text, uuid, jsonb) is
  'A dry run of update_series: what becomes of each date, nothing is written. action is add, change, remove, keep (reason: happened, cancelled, booked or edited), conflict (something is in the way of what it would become), skipped (over, closed, or skipped by the clock) or later. Arguments, permission and refusals are those of update_series.';
