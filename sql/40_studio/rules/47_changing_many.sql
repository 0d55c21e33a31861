-- Changing many classes in one call.

create function private.refuse_bulk(p_ids uuid[], p_field text) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if cardinality(p_ids) > private.setting_integer('bulk_limit') then
    perform private.fail('limit_exceeded', format('At most %s rows at once', private.setting_integer('bulk_limit')), p_field,
      jsonb_build_object('limit', private.setting_integer('bulk_limit')));
  end if;
end;
$$;
comment on function private.refuse_bulk(uuid[], text) is 'Raises limit_exceeded for more rows than one call may change.';

create function private.lock_assignments(p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('update:assignment');
  perform private.lock_sources('class_assignments', p_ids);
end;
$$;
comment on function private.lock_assignments(uuid[]) is 'Locks classes in the order everybody locks them in, for a holder of update:assignment.';

create function private.missing_assignments(p_ids uuid[]) returns uuid[]
language sql stable security definer set search_path = ''
return array(select u.id from unnest(p_ids) as u(id) where not exists (select from public.class_assignments a where a.id = u.id));
comment on function private.missing_assignments(uuid[]) is 'Which of these ids are no classes.';

create function private.refuse_missing(p_ids uuid[], p_field text) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_missing constant uuid[] := private.missing_assignments(p_ids);
begin
  if v_missing <> '{}' then
    perform private.fail('not_found', 'There is no such class', p_field, jsonb_build_object('missing', to_jsonb(v_missing)));
  end if;
end;
$$;
comment on function private.refuse_missing(uuid[], text) is 'Raises not_found naming the ids that are no classes.';

-- What would be in the way if these classes were changed so.
create function private.changed_clashes(p_ids uuid[], p_changes jsonb, p_days integer default 0) returns setof private.assignment_clash
language sql stable security definer set search_path = ''
begin atomic
  select c.*
  from private.assignment_clashes((
    select array_agg(t order by t.id)
    from public.class_assignments a
    cross join lateral jsonb_populate_record(a, p_changes || jsonb_build_object(
      'date', coalesce((p_changes ->> 'date')::date, a.date + p_days),
      'instructor_status', case when (p_changes ->> 'instructor_id')::uuid <> a.instructor_id then 'pending' else a.instructor_status end)) m
    cross join lateral (
      -- Where that is no zone, something else will say so.
      select private.local_to_instant(m.date, m.start_time, z.name) as starts_at, private.local_end_to_instant(m.date, m.end_time, z.name) as ends_at
      from (select case when private.is_time_zone(m.time_zone) then m.time_zone end as name) z
    ) w
    cross join lateral jsonb_populate_record(m, jsonb_build_object(
      'starts_at', case when w.starts_at < w.ends_at then w.starts_at end, 'ends_at', w.ends_at)) t
    where a.id = any(p_ids)
  )) c;
end;
comment on function private.changed_clashes(uuid[], jsonb, integer) is
  'What would be in the way of these classes (counted in the order of their ids) with these changes, so many days later.';

create function private.refuse_changed_clashes(p_ids uuid[], p_changes jsonb, p_days integer default 0) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.refuse_clashes(array(select c from private.changed_clashes(p_ids, p_changes, p_days) c),
    array(select distinct u.id::text from unnest(p_ids) as u(id) order by 1));
end;
$$;
comment on function private.refuse_changed_clashes(uuid[], jsonb, integer) is 'Raises time_conflict naming every clash these changes would bring; rows are named by their ids.';
