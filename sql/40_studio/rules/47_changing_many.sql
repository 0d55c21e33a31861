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
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_rows public.class_assignments[];
begin
  select array_agg(c order by c.id) into v_rows
  from (
    select (jsonb_populate_record(a, p_changes || jsonb_build_object(
      'date', coalesce((p_changes ->> 'date')::date, a.date + p_days),
      'instructor_status', case when (p_changes ->> 'instructor_id')::uuid <> a.instructor_id then 'pending' else a.instructor_status end))).*
    from public.class_assignments a
    where a.id = any(p_ids)
  ) c;
  for i in 1..coalesce(cardinality(v_rows), 0) loop
    -- Where that is no time, something else will say so.
    v_rows[i].starts_at := null;
    if private.is_time_zone(v_rows[i].time_zone) and v_rows[i].start_time < v_rows[i].end_time then
      v_rows[i].ends_at := private.local_end_to_instant(v_rows[i].date, v_rows[i].end_time, v_rows[i].time_zone);
      if private.local_to_instant(v_rows[i].date, v_rows[i].start_time, v_rows[i].time_zone) < v_rows[i].ends_at then
        v_rows[i].starts_at := private.local_to_instant(v_rows[i].date, v_rows[i].start_time, v_rows[i].time_zone);
      end if;
    end if;
  end loop;
  return query select c.* from private.assignment_clashes(v_rows) c;
end;
$$;
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
