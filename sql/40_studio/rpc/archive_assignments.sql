create function private.archive_before(p_before date, p_limit integer) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('bulk:assignment');
  return private.archive_classes(array(
    select a.id from public.class_assignments a
    where a.date < p_before and a.class_status <> 'scheduled'
    order by a.date, a.id
    limit p_limit
    -- Whoever moves others at the same moment has theirs; whoever changes one keeps it until the next call.
    for no key update skip locked
  ));
end;
$$;
comment on function private.archive_before(date, integer) is 'Archives classes that are over and older, for a holder of bulk:assignment.';

create function public.archive_assignments(p_before date, p_limit integer default 1000, p_idempotency_key text default null) returns integer
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('before', p_before, 'limit', p_limit);
  v_answer jsonb := private.answered_before('archive_assignments', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.require_permission('bulk:assignment');
    perform private.fail_input(
      private.input_error(p_before is null, 'p_before', 'Say before which day')
      || private.input_error(p_before > private.today(), 'p_before', 'Only what is past is archived')
      || private.input_error(coalesce(p_limit, 0) not between 1 and 5000, 'p_limit', 'Between 1 and 5000 at once'));
    v_answer := to_jsonb(private.archive_before(p_before, p_limit));
    perform private.remember_answer('archive_assignments', p_idempotency_key, v_request, v_answer);
  end if;
  return v_answer::integer;
end;
$$;
comment on function public.archive_assignments(date, integer, text) is
  'Moves completed and cancelled classes of days before p_before into class_assignments_archive, at most p_limit of them, the oldest first; links, pay and bookings stay as they are. Call it again until it answers 0. Needs bulk:assignment. Returns how many were moved. Raises invalid_input.';
