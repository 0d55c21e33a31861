create function public.reassign(
  p_ids uuid[], p_instructor_id uuid, p_idempotency_key text default null
) returns setof public.class_assignments
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('ids', p_ids, 'instructor_id', p_instructor_id);
  v_answer jsonb := private.answered_before('reassign', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.require_permission('update:assignment');
    perform private.fail_input(
      private.input_error(coalesce(cardinality(p_ids), 0) = 0, 'p_ids', 'Say which classes')
      || private.input_error(p_instructor_id is null, 'p_instructor_id', 'Say who teaches them instead'));
    perform private.refuse_bulk(p_ids, 'p_ids');
    perform private.lock_assignments(p_ids);
    perform private.refuse_missing(p_ids, 'p_ids');
    perform private.refuse_changed_clashes(p_ids, jsonb_build_object('instructor_id', p_instructor_id));
    select coalesce(jsonb_agg(to_jsonb(c)), '[]') into v_answer
    from private.apply_changes(p_ids, jsonb_build_object('instructor_id', p_instructor_id)) c;
    perform private.remember_answer('reassign', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.class_assignments, v_answer);
end;
$$;
comment on function public.reassign(uuid[], uuid, text) is
  'Asks somebody else to teach these classes, all or none: their answer is pending again, and where pay came from the instructor''s own rate it is the new one''s. Needs update:assignment. Returns the classes. Raises time_conflict listing every clash, not_found, illegal_transition for classes that are over, limit_exceeded over bulk_limit.';
