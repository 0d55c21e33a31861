create function private.check_registers_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'session_bookings', b.id::text,
    format('A booking of %s %s is %s, and the register says %s', s.session_date, left(s.start_time::text, 5), b.status, coalesce(a.status, 'nothing')),
    jsonb_build_object('session_id', b.session_id, 'status', b.status, 'attendance', a.status)
  from public.session_bookings b
  join public.course_sessions s on s.id = b.session_id
  left join public.attendance a on a.booking_id = b.id
  where (b.status in ('attended', 'no_show') or a.booking_id is not null)
    and b.status is distinct from case when a.booking_id is null then 'confirmed' when a.is_attended then 'attended' else 'no_show' end;
end;
comment on function private.check_registers_differ() is 'Finds bookings that became something else than the register says.';

create function private.fix_registers_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.session_bookings b
  set status = w.status
  from (
    select o.id, case when a.booking_id is null then 'confirmed' when a.is_attended then 'attended' else 'no_show' end as status
    from public.session_bookings o
    left join public.attendance a on a.booking_id = o.id
    where o.id = any(p_entity_ids::uuid[]) and o.status <> 'cancelled'
    order by o.id
  ) w
  where b.id = w.id and b.status <> w.status;
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_registers_differ(text[]) is 'Makes bookings what the register says: attended, no_show, or confirmed where it says nothing.';
