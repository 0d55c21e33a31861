create function private.change_one_series(p_scope text, p_session_id uuid, p_changes jsonb, p_expected_version integer, p_partial boolean) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_what private.series_target := private.series_to_change(p_scope, p_session_id, p_changes);
  v_next public.session_series := private.changed_series(v_what.series, p_changes, v_what.from_date, v_what.is_split);
  v_plan private.series_change[];
begin
  perform private.lock_series_from(v_what.series, v_what.from_date,
    array[(v_what.series).instructor_id, (v_what.series).location_id, v_next.instructor_id, v_next.location_id]);
  -- Somebody may have changed it before the lock was ours.
  v_what := private.series_to_change(p_scope, p_session_id, p_changes);
  if (v_what.series).version is distinct from coalesce(p_expected_version, (v_what.series).version) then
    perform private.fail('stale_version', format('This series was changed meanwhile: it is at version %s, not %s', (v_what.series).version, p_expected_version),
      'p_expected_version', jsonb_build_object('current', to_jsonb(v_what.series)), 'Plan the change again.');
  end if;
  v_next := private.changed_series(v_what.series, p_changes, v_what.from_date, v_what.is_split);
  v_plan := array(select c from private.plan_series_change(v_what.series, v_next, v_what.from_date) c);
  if not p_partial then
    perform private.refuse_plan(array(
      select row(c.series_date, c.starts_at, c.ends_at, c.action, c.reason, c.conflicts)::private.planned_session from unnest(v_plan) c
    ));
  end if;
  perform private.change_series_to(v_what.series, v_next, v_what.from_date, v_what.is_split, v_plan);
  return (
    select jsonb_build_object('series_id', v_next.id,
      'added', count(*) filter (where c.action = 'add'), 'changed', count(*) filter (where c.action = 'change'),
      'removed', count(*) filter (where c.action = 'remove'),
      'kept', coalesce(jsonb_agg(jsonb_build_object('session_id', c.session_id, 'session_date', c.series_date, 'reason', c.reason) order by c.series_date)
        filter (where c.action = 'keep'), '[]'),
      'left_out', coalesce(jsonb_agg(jsonb_build_object('session_id', c.session_id, 'session_date', c.series_date, 'reason', c.reason,
        'conflicts', c.conflicts) order by c.series_date) filter (where c.action in ('conflict', 'skipped')), '[]'))
    from unnest(v_plan) c
  );
end;
$$;
comment on function private.change_one_series(text, uuid, jsonb, integer, boolean) is 'What public.update_series does, for a holder of manage:series.';

create function public.update_series(
  p_scope text, p_session_id uuid, p_changes jsonb, p_expected_version integer default null, p_partial boolean default false,
  p_idempotency_key text default null
) returns table (series_id uuid, added integer, changed integer, removed integer, kept jsonb, left_out jsonb)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request constant jsonb := jsonb_build_object('scope', p_scope, 'session_id', p_session_id, 'changes', p_changes,
    'expected_version', p_expected_version, 'partial', p_partial);
  v_answer jsonb := private.answered_before('update_series', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := private.change_one_series(p_scope, p_session_id, p_changes, p_expected_version, coalesce(p_partial, false));
    perform private.remember_answer('update_series', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select r.series_id, r.added, r.changed, r.removed, r.kept, r.left_out
    from jsonb_to_record(v_answer) as r(series_id uuid, added integer, changed integer, removed integer, kept jsonb, left_out jsonb);
end;
$$;
comment on function public.update_series(text, uuid, jsonb, integer, boolean, text) is
  'Changes a series: p_scope all, or following (from p_session_id''s date on, which goes on as another series of the same run). One session alone is changed by update_session(). p_changes may hold rrule, rdates and exdates (lists of dates), start_time, end_time, location_id, instructor_id, max_capacity, min_bookings, price and notes. Sessions that happened, were booked, cancelled or edited by themselves stay as they are (kept says which and why); others are changed, removed or added. plan_series_change says all of it beforehand. All or nothing, or with p_partial all that fit: left_out says what is not. p_expected_version is the series''. Needs manage:series. Raises time_conflict listing every date, stale_version, illegal_transition, not_found, invalid_input.';
