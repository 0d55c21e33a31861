create function private.check_certificates_without_attendance() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'certificates', c.id::text,
    format('Certificate %s says %s of %s sessions, and the register has %s', c.serial, c.sessions_attended, c.sessions_required, coalesce(t.attended, 0)),
    jsonb_build_object('booking_id', c.booking_id, 'required', c.sessions_required, 'attended', coalesce(t.attended, 0))
  from public.certificates c
  left join lateral (
    select r.attended from private.run_standing(c.run_id) r where r.person_key = c.person_key
  ) t on true
  where c.revoked_at is null
    and (coalesce(t.attended, 0) < c.sessions_required
      or not exists (select from public.attendance a where a.booking_id = c.booking_id and a.is_attended));
end;
comment on function private.check_certificates_without_attendance() is 'Finds valid certificates that do not rest on the attendance they certify.';
