create function public.export_schedules(p_after uuid default null, p_limit integer default 1000) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  perform private.check_page(p_limit);
  return (
    select coalesce(jsonb_agg(to_jsonb(r) order by r.id), '[]')
    from (
      select s.id, coalesce(t.name, s.class_type_id::text) as class_type, s.day_of_week, s.start_time, s.end_time, s.duration_minutes, s.time_zone,
        coalesce(i.name, s.instructor_id::text) as instructor, coalesce(l.name, s.location_id::text) as location, s.max_participants, s.is_active,
        s.effective_from, s.effective_until, s.notes, private.list_to_text(e.called_off) as called_off, private.list_to_text(e.moved) as moved, s.created_by,
        private.instant_to_text(s.created_at) as created_at
      from public.class_schedules s
      left join private.export_names t on t.kind = 'class_type' and t.id = s.class_type_id
      left join private.export_names i on i.kind = 'person' and i.id = s.instructor_id
      left join private.export_names l on l.kind = 'location' and l.id = s.location_id
      cross join lateral (
        select
          array_agg(x.occurs_on::text || coalesce(' ' || x.reason, '') order by x.occurs_on) filter (where x.kind = 'cancelled') as called_off,
          array_agg(format('%s > %s %s-%s%s', x.occurs_on, x.moved_to_date, x.moved_start_time, x.moved_end_time, coalesce(' ' || x.reason, ''))
            order by x.occurs_on) filter (where x.kind = 'moved') as moved
        from public.weekly_rule_exceptions x
        where x.rule_id = s.id and extract(dow from x.occurs_on) = s.day_of_week
          and x.occurs_on <@ daterange(s.effective_from, s.effective_until, '[]')
      ) e
      where p_after is null or s.id > p_after
      order by s.id
      limit p_limit
    ) r
  );
end;
$$;
comment on function public.export_schedules(uuid, integer) is
  'The class schedules, as import_schedules reads them, with the dates they are called off and moved on: the first p_limit (1 to 5000) in the order of their ids after p_after. Dates that have classes of their own come with those. Raises invalid_input.';
