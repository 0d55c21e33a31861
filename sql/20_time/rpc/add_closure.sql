-- A document a row, because what is cancelled is read before it is gone, and what is left afterwards.
create function private.closure_hits(p_resource_ids uuid[], p_during tstzrange)
returns table (source_table text, source_id uuid, occurs_on date, hit jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select u.source_table, u.source_id, u.occurs_on, jsonb_build_object(
    'resource_id', u.resource_id, 'resource_name', r.name, 'source_table', u.source_table, 'source_id', u.source_id,
    'occurs_on', u.occurs_on, 'kind', u.kind, 'title', case when s.sees_all then u.title end,
    'starts_at', lower(u.during), 'ends_at', upper(u.during))
  from private.uses_within(p_resource_ids, p_during) u
  join public.resources r on r.id = u.resource_id
  cross join (select private.has_permission('read:calendar') as sees_all) s;
end;
comment on function private.closure_hits(uuid[], tstzrange) is
  'What a closure of these resources (null: all) hits; titles for those who may read the calendar.';

create function private.lock_closed(p_rule_ids uuid[], p_closed uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_sources('weekly_rules', p_rule_ids);
  perform private.lock_resources(array(
    select p.resource_id from public.weekly_rule_resources p where p.rule_id = any(p_rule_ids)
    union
    select r.id
    from public.resources r
    where (r.id = any(p_closed) or p_closed is null) and private.setting_text('availability_policy') = 'refuse'
  ));
end;
$$;
comment on function private.lock_closed(uuid[], uuid[]) is
  'Locks rules, then in one go their resources and, where claims in closures are refused, those that are closed (null: all).';

-- Exceptions come first, then their rules, then resources, and the closure last: the order in which everybody who
-- cancels a date locks. The locks are taken within the statement that writes the exceptions, before its triggers run:
-- those would lock the rules' resources alone, and the closure's would come out of turn.
create function private.make_closure(
  p_name text, p_starts_on date, p_ends_on date, p_location_id uuid, p_cancel_occurrences boolean
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_closed uuid[] := (select array[r.id] from public.resources r where r.location_id = p_location_id);
  v_during tstzrange := private.closure_range(p_starts_on, p_ends_on, p_location_id);
  v_cancelled jsonb := '[]';
  v_closure_id uuid;
  v_left jsonb;
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
    with hit as materialized (
      select u.source_id, u.occurs_on, u.hit from private.closure_hits(v_closed, v_during) u where u.source_table = 'weekly_rules'
    ),
    cancelled as (
      insert into public.weekly_rule_exceptions as e (rule_id, occurs_on, kind, reason)
      select distinct h.source_id, h.occurs_on, 'cancelled', p_name
      from hit h
      order by h.source_id, h.occurs_on
      on conflict (rule_id, occurs_on) do update
      set kind = 'cancelled', reason = excluded.reason, moved_to_date = null, moved_start_time = null, moved_end_time = null
      where e.kind = 'moved'
      returning e.rule_id, e.occurs_on
    ),
    locked as (
      select private.lock_closed(array_agg(distinct c.rule_id), v_closed) from cancelled c
    )
    select coalesce(jsonb_agg(h.hit || '{"is_cancelled": true}'), '[]') into v_cancelled
    from hit h
    join cancelled c on c.rule_id = h.source_id and c.occurs_on = h.occurs_on
    where exists (select from locked);
  end if;
  insert into public.closures (name, starts_on, ends_on, location_id)
  values (p_name, p_starts_on, p_ends_on, p_location_id)
  returning id into v_closure_id;
  select coalesce(jsonb_agg(u.hit || '{"is_cancelled": false}'), '[]') into v_left
  from private.closure_hits(v_closed, v_during) u;
  return (
    select coalesce(
      jsonb_agg(a.hit || jsonb_build_object('id', v_closure_id)
        order by (a.hit ->> 'starts_at')::timestamptz, a.hit ->> 'resource_name', a.hit ->> 'source_id'),
      jsonb_build_array(jsonb_build_object('id', v_closure_id))
    )
    from jsonb_array_elements(v_cancelled || v_left) as a(hit)
  );
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
