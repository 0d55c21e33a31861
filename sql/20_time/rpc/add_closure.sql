-- The rules come first, then their resources, then the closure: the order in which whoever changes a rule locks. A
-- rule that somebody makes this very moment is listed and left to them.
create function private.make_closure(
  p_name text, p_starts_on date, p_ends_on date, p_location_id uuid, p_cancel_occurrences boolean
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_closed uuid[] := (select array[r.id] from public.resources r where r.location_id = p_location_id);
  v_during tstzrange := private.closure_range(p_starts_on, p_ends_on, p_location_id);
  v_rule_ids uuid[] := '{}';
  v_closure_id uuid;
  v_answer jsonb;
begin
  perform private.require_permission('manage:closures');
  if p_cancel_occurrences then
    perform private.require_permission('update:calendar');
  end if;
  if p_location_id is not null and v_closed is null then
    perform private.fail('not_found', 'There is no such place', 'p_location_id', jsonb_build_object('id', p_location_id));
  end if;
  if p_cancel_occurrences then
    perform private.require_read_committed();
    v_rule_ids := array(
      select distinct u.source_id from private.uses_within(v_closed, v_during) u where u.source_table = 'weekly_rules'
    );
    perform private.lock_sources('weekly_rules', v_rule_ids);
    perform private.lock_resources(array(
      select p.resource_id from public.weekly_rule_resources p where p.rule_id = any(v_rule_ids)
      union
      select r.id from public.resources r where r.id = any(v_closed) or v_closed is null
    ));
  end if;
  insert into public.closures (name, starts_on, ends_on, location_id)
  values (p_name, p_starts_on, p_ends_on, p_location_id)
  returning id into v_closure_id;
  select jsonb_agg(jsonb_build_object(
      'id', v_closure_id, 'resource_id', u.resource_id, 'resource_name', r.name, 'source_table', u.source_table,
      'source_id', u.source_id, 'occurs_on', u.occurs_on, 'kind', u.kind, 'title', case when s.sees_all then u.title end,
      'starts_at', lower(u.during), 'ends_at', upper(u.during),
      'is_cancelled', u.source_table = 'weekly_rules' and u.source_id = any(v_rule_ids)
    ) order by lower(u.during), u.title, r.name, u.source_id)
  into v_answer
  from private.uses_within(v_closed, v_during) u
  join public.resources r on r.id = u.resource_id
  cross join (select private.has_permission('read:calendar') as sees_all) s;
  insert into public.weekly_rule_exceptions as e (rule_id, occurs_on, kind, reason)
  select distinct u.source_id, u.occurs_on, 'cancelled', p_name
  from private.uses_within(v_closed, v_during) u
  where u.source_table = 'weekly_rules' and u.source_id = any(v_rule_ids)
  order by u.source_id, u.occurs_on
  on conflict (rule_id, occurs_on) do update
  set kind = 'cancelled', reason = excluded.reason, moved_to_date = null, moved_start_time = null, moved_end_time = null
  where e.kind = 'moved';
  return coalesce(v_answer, jsonb_build_array(jsonb_build_object('id', v_closure_id)));
end;
$$;
comment on function private.make_closure(text, date, date, uuid, boolean) is
  'Adds a closure for a holder of manage:closures; what it hits, as public.add_closure returns it.';

create function public.add_closure(
  p_name text,
  p_starts_on date,
  p_ends_on date default null,
  p_location_id uuid default null,
  p_cancel_occurrences boolean default false,
  p_idempotency_key text default null
) returns table (
  id uuid, resource_id uuid, resource_name text, source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz, is_cancelled boolean
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'name', p_name, 'starts_on', p_starts_on, 'ends_on', p_ends_on, 'location_id', p_location_id, 'cancel_occurrences', p_cancel_occurrences);
  v_answer jsonb;
begin
  perform private.require_permission('manage:closures');
  v_answer := private.answered_before('add_closure', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(private.closure_errors(p_name, p_starts_on, p_ends_on, 'p_'));
    v_answer := private.make_closure(
      private.clean_text(p_name), p_starts_on, coalesce(p_ends_on, p_starts_on), p_location_id, coalesce(p_cancel_occurrences, false));
    perform private.remember_answer('add_closure', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.id, a.resource_id, a.resource_name, a.source_table, a.source_id, a.occurs_on, a.kind, a.title, a.starts_at, a.ends_at,
      a.is_cancelled
    from jsonb_to_recordset(v_answer) as a(
      id uuid, resource_id uuid, resource_name text, source_table text, source_id uuid, occurs_on date, kind text, title text,
      starts_at timestamptz, ends_at timestamptz, is_cancelled boolean);
end;
$$;
comment on function public.add_closure(text, date, date, uuid, boolean, text) is
  'Closes a place, or everything when p_location_id is null, from p_starts_on to p_ends_on (included; the same day by default), whole days where the place is. With p_cancel_occurrences the dates of weekly rules it hits are cancelled, the closure''s name as their reason, and stay so when the closure is deleted; other happenings are only listed. Needs manage:closures, and update:calendar to cancel. Returns a row for each use of a resource it hits, with the closure''s id, or one row without. Raises invalid_input naming every bad field, forbidden, not_found.';
