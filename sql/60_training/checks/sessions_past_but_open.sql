create function private.check_sessions_past_but_open() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'course_sessions', s.id::text, format('The session of %s %s is over and still %s', s.session_date, left(s.start_time::text, 5), s.status),
    jsonb_build_object('status', s.status, 'ends_at', s.ends_at)
  from public.course_sessions s
  where s.status in ('scheduled', 'in_progress') and s.ends_at < private.now() - interval '1 day';
end;
comment on function private.check_sessions_past_but_open() is 'Finds sessions that were over a day ago and that nobody completed.';

create function private.fix_sessions_past_but_open(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.course_sessions s set status = 'completed'
  where s.id = any(p_entity_ids::uuid[]) and s.status in ('scheduled', 'in_progress') and s.ends_at < private.now();
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_sessions_past_but_open(text[]) is 'Completes them, as the job does.';
