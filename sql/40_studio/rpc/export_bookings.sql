create function public.export_bookings(p_after uuid default null, p_limit integer default 1000) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  perform private.check_page(p_limit);
  return (
    select coalesce(jsonb_agg(to_jsonb(r) order by r.id), '[]')
    from (
      select b.id, b.booking_id, coalesce(c.name, b.profile_id::text) as customer, b.class_name, b.instructor, b.class_date, b.class_time,
        private.list_to_text(b.preferred_days) as preferred_days, private.list_to_text(b.preferred_times) as preferred_times, b.timezone, b.first_name,
        b.last_name, b.email, b.phone, b.status, b.booking_type, coalesce(p.name, b.class_package_id::text) as package, b.uses_credits, b.notes, b.created_by,
        private.instant_to_text(b.created_at) as created_at
      from public.bookings b
      left join private.export_names c on c.kind = 'person' and c.id = b.profile_id
      left join private.export_names p on p.kind = 'package' and p.id = b.class_package_id
      where p_after is null or b.id > p_after
      order by b.id
      limit p_limit
    ) r
  );
end;
$$;
comment on function public.export_bookings(uuid, integer) is
  'The bookings the caller may see, as import_bookings reads them: the first p_limit (1 to 5000) in the order of their ids after p_after. Raises invalid_input.';
