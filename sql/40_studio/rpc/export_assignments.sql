create function public.export_assignments(
  p_from date default null, p_to date default null, p_after uuid default null, p_limit integer default 1000
) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  perform private.check_page(p_limit);
  return (
    select coalesce(jsonb_agg(to_jsonb(r) order by r.id), '[]')
    from (
      select a.id, a.date, a.start_time, a.end_time, a.time_zone, coalesce(i.name, a.instructor_id::text) as instructor,
        coalesce(t.name, a.class_type_id::text) as class_type, coalesce(p.name, a.package_id::text) as package, coalesce(l.name, a.location_id::text) as location,
        a.payment_amount, a.payment_type, a.rate, a.rate_id, a.schedule_type, a.booking_type, a.class_status, a.payment_status, a.instructor_status,
        private.instant_to_text(a.instructor_response_at) as instructor_response_at, a.notes, a.schedule_id, a.occurs_on, a.plan_id,
        private.list_to_text(a.booking_ids) as booking_ids, a.assigned_by, private.instant_to_text(a.assigned_at) as assigned_at,
        private.instant_to_text(a.created_at) as created_at, a.archived_by, private.instant_to_text(a.archived_at) as archived_at
      from (
        select c.*, array(select x.booking_id from public.assignment_bookings x where x.assignment_id = c.id order by x.booking_id) as booking_ids,
          null::uuid as archived_by, null::timestamptz as archived_at
        from public.class_assignments c
        union all
        select c.* from public.class_assignments_archive c
      ) a
      left join private.export_names t on t.kind = 'class_type' and t.id = a.class_type_id
      left join private.export_names p on p.kind = 'package' and p.id = a.package_id
      left join private.export_names i on i.kind = 'person' and i.id = a.instructor_id
      left join private.export_names l on l.kind = 'location' and l.id = a.location_id
      where (p_after is null or a.id > p_after) and (p_from is null or a.date >= p_from) and (p_to is null or a.date <= p_to)
      order by a.id
      limit p_limit
    ) r
  );
end;
$$;
comment on function public.export_assignments(date, date, uuid, integer) is
  'The classes the caller may see, those of the archive too, as import_assignments reads them: the first p_limit (1 to 5000) in the order of their ids after p_after, of the days from p_from to p_to, or of all. Raises invalid_input.';
