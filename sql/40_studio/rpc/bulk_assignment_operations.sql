-- What each id would run into, before anything is done: the first reason, in words.
create function private.bulk_problems(p_operation text, p_ids uuid[], p_changes jsonb, p_days integer) returns table (id uuid, code text, message text)
language plpgsql stable security definer set search_path = ''
as $$
#variable_conflict use_column
declare
  v_bulk constant boolean := private.has_permission('bulk:assignment');
  v_creates constant boolean := private.has_permission('create:assignment');
  v_pays constant boolean := private.has_permission('manage:pay');
  v_caller constant uuid := private.caller_id();
  v_now constant timestamptz := private.now();
  v_today constant date := private.today();
begin
  return query
    with asked as materialized (
      select distinct u.id from unnest(p_ids) as u(id)
    ), rows as materialized (
      select k.id as asked_id, a as before, case when p_operation = 'delete' then a else
        jsonb_populate_record(a, p_changes || case when p_days <> 0 then jsonb_build_object('date', a.date + p_days) else '{}' end) end as after
      from asked k
      left join public.class_assignments a on a.id = k.id
    ), clashes as materialized (
      select (array(select a.id from asked k join public.class_assignments a on a.id = k.id order by a.id))[c.row_number] as asked_id,
        (array_agg(c.message order by c.starts_at))[1] as message
      from private.changed_clashes(p_ids, p_changes, p_days) c
      where p_operation in ('reassign', 'reschedule')
      group by 1
    )
    select r.asked_id, p.code, p.message
    from rows r
    left join clashes c on c.asked_id = r.asked_id
    left join lateral private.illegal_move(r.before, r.after, v_pays) m on (r.before).id is not null and p_operation <> 'delete'
    left join lateral (
      select string_agg(x.error ->> 'message', '; ' order by x.n) as messages
      from jsonb_array_elements(private.assignment_errors(r.after, r.before)) with ordinality as x(error, n)
    ) e on (r.before).id is not null and p_operation <> 'delete'
    cross join lateral (
      select case
          when (r.before).id is null then 'not_found'
          when not v_bulk and not (v_creates and (r.before).assigned_by is not distinct from v_caller) then 'forbidden'
          when m.message is not null then 'illegal_transition'
          when p_operation = 'update_status' and (r.after).class_status = 'completed' and (r.before).class_status <> 'completed'
            and coalesce((r.before).starts_at > v_now, (r.before).date > v_today) then 'illegal_transition'
          when w.name is not null then 'illegal_transition'
          when e.messages is not null then 'invalid_input'
          when c.message is not null then 'time_conflict'
        end as code,
        case
          when (r.before).id is null then 'There is no such class'
          when not v_bulk and not (v_creates and (r.before).assigned_by is not distinct from v_caller) then 'Somebody else assigned this class'
          when m.message is not null then m.message
          when p_operation = 'update_status' and (r.after).class_status = 'completed' and (r.before).class_status <> 'completed'
            and coalesce((r.before).starts_at > v_now, (r.before).date > v_today) then 'This class has not begun yet'
          when w.name is not null then format('The pay period %s is closed', w.name)
          when e.messages is not null then e.messages
          else c.message
        end as message
      from (select 1) one
      left join public.pay_periods w on w.status = 'closed'
        and ((r.before).date between w.starts_on and w.ends_on or (r.after).date between w.starts_on and w.ends_on)
      limit 1
    ) p
    where p.code is not null
    order by r.asked_id;
end;
$$;
comment on function private.bulk_problems(text, uuid[], jsonb, integer) is
  'Why these classes cannot be changed so, each with the first reason; those that can are not in it.';

create function private.bulk_reasons(p_operation text, p_ids uuid[], p_changes jsonb, p_days integer) returns jsonb
language sql stable security definer set search_path = ''
return coalesce((
  select jsonb_agg(jsonb_build_object('id', p.id, 'code', p.code, 'message', p.message) order by p.id)
  from private.bulk_problems(p_operation, p_ids, p_changes, p_days) p
), '[]');
comment on function private.bulk_reasons(text, uuid[], jsonb, integer) is 'The same as a list for the caller.';

create function private.change_many(p_operation text, p_ids uuid[], p_changes jsonb, p_days integer) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  -- Whoever holds bulk:assignment may; others change what they assigned, which is asked under the lock.
  -- Deleting takes the stronger lock, which would otherwise be asked for while somebody who links a booking waits for the
  -- weaker one.
  if p_operation = 'delete' then
    perform from public.class_assignments a where a.id = any(p_ids) order by a.id for update;
  else
    perform from public.class_assignments a where a.id = any(p_ids) order by a.id for no key update;
  end if;
  if not private.has_permission('bulk:assignment') then
    perform private.require_permission('create:assignment');
    if exists (select from public.class_assignments a where a.id = any(p_ids) and a.assigned_by is distinct from private.caller_id()) then
      perform private.require_permission('bulk:assignment');
    end if;
  end if;
  if p_operation = 'delete' then
    delete from public.class_assignments a where a.id = any(p_ids);
  else
    perform private.apply_changes(p_ids, p_changes, null, p_days);
  end if;
  get diagnostics v_count = row_count;
  if v_count < (select count(distinct u.id) from unnest(p_ids) as u(id)) then
    perform private.refuse_missing(p_ids, 'assignment_ids');
  end if;
  return v_count;
end;
$$;
comment on function private.change_many(text, uuid[], jsonb, integer) is
  'Deletes or changes these classes in one statement, for a holder of bulk:assignment or whoever assigned them all.';

-- What is done of it when not everything can be. A class that stays because of one thing may be in the way of another that
-- was to take its place, so it is asked again without it. What asking does not find out, such as a customer whose credits
-- are used up, trying one by one does.
create function private.change_what_can_be(p_operation text, p_ids uuid[], p_changes jsonb, p_days integer) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_ids uuid[] := p_ids;
  v_id uuid;
  v_found jsonb;
  v_not_done jsonb := '[]';
  v_error jsonb;
  v_affected integer := 0;
begin
  loop
    v_found := private.bulk_reasons(p_operation, v_ids, p_changes, p_days);
    exit when v_found = '[]';
    v_not_done := v_not_done || v_found;
    v_ids := array(
      select u.id from unnest(v_ids) as u(id) where u.id not in (select (n.item ->> 'id')::uuid from jsonb_array_elements(v_found) as n(item))
    );
  end loop;
  begin
    if v_ids <> '{}' then
      v_affected := private.change_many(p_operation, v_ids, p_changes, p_days);
    end if;
  exception when sqlstate 'PGRST' then
    foreach v_id in array v_ids loop
      begin
        v_affected := v_affected + private.change_many(p_operation, array[v_id], p_changes, p_days);
      exception when sqlstate 'PGRST' then
        v_error := sqlerrm;
        v_not_done := v_not_done || jsonb_build_object('id', v_id, 'code', v_error -> 'code', 'message', v_error -> 'message');
      end;
    end loop;
  end;
  return jsonb_build_object('affected_count', v_affected, 'not_done', v_not_done);
end;
$$;
comment on function private.change_what_can_be(text, uuid[], jsonb, integer) is
  'Changes those of these classes that can be changed so; how many were, and for each other one the reason.';

create function public.bulk_assignment_operations(
  operation_type text, assignment_ids uuid[], update_data jsonb default '{}', p_partial boolean default false, p_idempotency_key text default null
) returns table (success boolean, affected_count integer, error_message text, not_done jsonb)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request jsonb := jsonb_build_object('operation_type', operation_type, 'assignment_ids', assignment_ids, 'update_data', update_data, 'partial', p_partial);
  v_answer jsonb := private.answered_before('bulk_assignment_operations', p_idempotency_key, v_request);
  v_operation constant text := operation_type;
  v_ids uuid[] := assignment_ids;
  v_fields constant jsonb := case operation_type
      when 'delete' then '{}'
      when 'update_status' then '{"class_status": "text", "payment_status": "text", "instructor_status": "text"}'
      when 'reassign' then '{"instructor_id": "uuid"}'
      when 'reschedule' then '{"date": "date", "start_time": "time", "end_time": "time", "time_zone": "text", "location_id": "uuid", "days": "text"}'
    end;
  v_changes jsonb := coalesce(update_data, '{}');
  v_days integer := 0;
  v_not_done jsonb := '[]';
  v_affected integer := 0;
  v_done jsonb;
begin
  if v_answer is null then
    if not private.has_permission('bulk:assignment') then
      perform private.require_permission('create:assignment');
    end if;
    perform private.refuse_bulk(v_ids, 'assignment_ids');
    if v_operation = 'reschedule' and v_changes ->> 'days' ~ '^-?[0-9]{1,3}$' then
      v_days := (v_changes ->> 'days')::integer;
      v_changes := v_changes - 'days';
    end if;
    perform private.fail_input(
      private.input_error(v_fields is null, 'operation_type', 'An operation is delete, update_status, reassign or reschedule')
      || private.input_error(coalesce(cardinality(v_ids), 0) = 0, 'assignment_ids', 'Say which classes')
      || private.input_error(array_position(v_ids, null) is not null, 'assignment_ids', 'A class is missing its id')
      || private.input_error(v_operation <> 'delete' and v_fields is not null and v_changes = '{}' and v_days = 0, 'update_data', 'Say what changes')
      || private.input_error(v_changes ? 'days', 'update_data.days', 'Days are a whole number, such as 7 or -1')
      || private.input_error(v_changes ? 'date' and v_days <> 0, 'update_data.days', 'Give a date or a number of days')
      || private.input_error(jsonb_path_exists(v_changes, '$.* ? (@ == null)') and v_operation in ('update_status', 'reassign'), 'update_data', 'Nothing here can be empty')
      || private.input_error(v_operation = 'reschedule' and v_changes -> 'date' = 'null', 'update_data.date', 'A class has a date')
      || private.input_error(v_operation = 'reschedule' and v_changes -> 'time_zone' = 'null', 'update_data.time_zone', 'A class has a time zone')
      || private.input_error(v_changes ->> 'class_status' not in ('scheduled', 'completed', 'cancelled'), 'update_data.class_status',
        'A class is scheduled, completed or cancelled')
      || private.input_error(v_changes ->> 'payment_status' not in ('pending', 'paid', 'cancelled'), 'update_data.payment_status',
        'Pay is pending, paid or cancelled')
      || private.input_error(v_changes ->> 'instructor_status' not in ('pending', 'accepted', 'rejected'), 'update_data.instructor_status',
        'An instructor''s answer is pending, accepted or rejected')
      || case when v_fields is null then '[]' else private.json_object_errors(v_changes, v_fields, 'update_data.') end
    );
    perform private.fail_input(private.unknown_in(v_changes, 'update_data.'));
    -- Mostly nothing is in the way, and asking first would take longer than trying.
    begin
      v_affected := private.change_many(v_operation, v_ids, v_changes, v_days);
    exception when sqlstate 'PGRST' then
      if p_partial then
        v_done := private.change_what_can_be(v_operation, array(select distinct u.id from unnest(v_ids) as u(id) order by u.id), v_changes, v_days);
        v_affected := (v_done ->> 'affected_count')::integer;
        v_not_done := v_done -> 'not_done';
      else
        v_not_done := private.bulk_reasons(v_operation, v_ids, v_changes, v_days);
        if v_not_done = '[]' then
          raise;
        end if;
      end if;
    end;
    v_answer := jsonb_build_object('success', v_not_done = '[]', 'affected_count', v_affected,
      'error_message', (v_not_done -> 0 ->> 'message') || case when jsonb_array_length(v_not_done) > 1
        then format(' (and %s more)', jsonb_array_length(v_not_done) - 1) else '' end,
      'not_done', v_not_done);
    perform private.remember_answer('bulk_assignment_operations', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select (v_answer ->> 'success')::boolean, (v_answer ->> 'affected_count')::integer, v_answer ->> 'error_message', v_answer -> 'not_done';
end;
$$;
comment on function public.bulk_assignment_operations(text, uuid[], jsonb, boolean, text) is
  'Does one thing to many classes. operation_type: delete; update_status (update_data: class_status, payment_status, instructor_status); reassign (instructor_id); reschedule (date, or days to move each by, start_time, end_time, time_zone, location_id). For holders of bulk:assignment; others on classes they assigned. All or none, unless p_partial: then what can be done is. Returns one row: success when all was done, affected_count, error_message (the first reason), not_done with id, code and message for every id that was not done. Raises invalid_input, limit_exceeded over bulk_limit; and, as any change, what somebody else''s change at the same moment brings.';
