-- Certificates: what they rest on is counted when one is written, by whomever, and cannot be taken away while it is valid.

create function private.attendee_key(p_booking public.session_bookings) returns text
language sql immutable set search_path = ''
return coalesce((p_booking).profile_id::text, md5((p_booking).attendee_email), (p_booking).id::text);
comment on function private.attendee_key(public.session_bookings) is
  'Who a booking is for, the same for all bookings of one person: the profile, a hash of a guest''s address, or else the booking itself.';

-- A series is a course held over several dates, also where it went on as another one; a single session is by itself.
create function private.run_of_session(p_session public.course_sessions) returns uuid
language sql stable security definer set search_path = ''
return coalesce((select s.run_id from public.session_series s where s.id = (p_session).series_id), (p_session).id);
comment on function private.run_of_session(public.course_sessions) is 'The run a session is part of: that of its series, or its own id.';

create function private.run_sessions(p_run_id uuid) returns setof public.course_sessions
language sql stable security definer set search_path = ''
begin atomic
  select s.* from public.course_sessions s where s.id = p_run_id and s.series_id is null and s.status <> 'cancelled'
  union all
  select s.*
  from public.session_series r
  join public.course_sessions s on s.series_id = r.id
  where r.run_id = p_run_id and s.status <> 'cancelled';
end;
comment on function private.run_sessions(uuid) is 'The sessions of a run, without cancelled ones.';

create function private.sessions_required(p_sessions bigint) returns integer
language sql stable set search_path = ''
return greatest(1, ceil(p_sessions * private.setting_integer('certificate_attendance_percent') / 100.0))::integer;
comment on function private.sessions_required(bigint) is 'How many of so many sessions have to be attended for a certificate, by the setting certificate_attendance_percent.';

-- Who stands how in a run: one row for each person with a live booking.
create function private.run_standing(p_run_id uuid) returns table (
  person_key text, profile_id uuid, user_id uuid, attendee_name text, booking_id uuid, sessions integer, attended integer, required integer, lacking date[]
)
language sql stable security definer set search_path = ''
begin atomic
  with sessions as materialized (
    select s.id, s.session_date from private.run_sessions(p_run_id) s
  ),
  people as (
    select private.attendee_key(b) as person_key, b.id, b.session_id, b.profile_id, b.user_id, b.attendee_name,
      coalesce(a.is_attended, false) as is_attended, s.session_date
    from sessions s
    join public.session_bookings b on b.session_id = s.id and b.is_live
    left join public.attendance a on a.booking_id = b.id
  ),
  counted as (
    select p.person_key, (array_agg(p.profile_id))[1] as profile_id, (array_agg(p.user_id))[1] as user_id,
      (array_agg(p.attendee_name order by p.session_date desc))[1] as attendee_name,
      (array_agg(p.id order by p.session_date desc) filter (where p.is_attended))[1] as booking_id,
      count(distinct p.session_id) filter (where p.is_attended) as attended,
      array_agg(p.session_id) filter (where p.is_attended) as session_ids
    from people p
    group by p.person_key
  ),
  size as (
    select count(*) as sessions from sessions
  )
  select c.person_key, c.profile_id, c.user_id, coalesce(u.full_name, c.attendee_name), c.booking_id, z.sessions::integer, c.attended::integer,
    private.sessions_required(z.sessions),
    array(select s.session_date from sessions s where s.id <> all(coalesce(c.session_ids, '{}')) order by s.session_date)
  from counted c
  cross join size z
  left join public.user_profiles u on u.id = c.profile_id;
end;
comment on function private.run_standing(uuid) is
  'For everybody who booked sessions of a run: how many there are, were attended and have to be, and the dates that lack.';

create function private.write_certificate() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_booking public.session_bookings;
  v_standing record;
  v_valid_days integer;
begin
  select b.* into v_booking from public.session_bookings b where b.id = new.booking_id;
  perform private.fail_input(private.input_error(v_booking.id is null, 'booking_id', 'There is no such booking'));
  new.person_key := private.attendee_key(v_booking);
  select s.course_id, private.run_of_session(s) into new.course_id, new.run_id from public.course_sessions s where s.id = v_booking.session_id;
  -- Nobody corrects meanwhile what is about to be counted.
  perform from public.attendance a
  join public.session_bookings b on b.id = a.booking_id
  where a.session_id in (select s.id from private.run_sessions(new.run_id) s) and private.attendee_key(b) = new.person_key
  order by a.booking_id
  for share of a;
  select t.* into v_standing from private.run_standing(new.run_id) t where t.person_key = new.person_key;
  if v_standing.person_key is null or v_standing.attended < v_standing.required
    or not exists (select from public.attendance a where a.booking_id = new.booking_id and a.is_attended) then
    perform private.fail('illegal_transition', format('%s attended %s of %s sessions, and needs %s', coalesce(v_standing.attendee_name, 'This person'),
      coalesce(v_standing.attended, 0), coalesce(v_standing.sessions, 0), coalesce(v_standing.required, 1)), 'booking_id',
      jsonb_build_object('booking_id', new.booking_id, 'attended', v_standing.attended, 'required', v_standing.required, 'lacking', v_standing.lacking));
  end if;
  select c.title, c.certificate_validity_days into new.course_title, v_valid_days from public.courses c where c.id = new.course_id;
  new.user_id := v_booking.user_id;
  new.holder_name := private.clean_text(left(v_standing.attendee_name, 200));
  new.sessions_attended := v_standing.attended;
  new.sessions_required := v_standing.required;
  new.serial := format('%s-%s-%s', private.setting_text('certificate_prefix'), extract(year from private.today()),
    lpad(nextval('private.certificate_numbers')::text, 6, '0'));
  -- Two ids have 244 random bits and six that never change; half of their hash is 128 that all count.
  new.verification_code := upper(left(encode(sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')), 'hex'), 32));
  new.issued_at := private.now();
  new.issued_by := private.caller_id();
  new.expires_at := new.issued_at + make_interval(days => v_valid_days);
  new.revoked_at := null;
  new.revoked_by := null;
  new.revocation_reason := null;
  return new;
end;
$$;
comment on function private.write_certificate() is
  'Row trigger: a certificate is written from its booking alone; refused without enough attendance of the sessions it is for.';

create trigger t20_write before insert on public.certificates
  for each row execute function private.write_certificate();

create function private.keep_certificate() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_may_change constant text[] := array['revoked_at', 'revoked_by', 'revocation_reason', 'attended', 'user_id', 'issued_by', 'holder_name'];
begin
  if to_jsonb(new) - v_may_change <> to_jsonb(old) - v_may_change then
    perform private.fail('illegal_transition', 'A certificate says the same for ever: revoke it, and issue another', 'id', jsonb_build_object('id', old.id));
  end if;
  if (new.revoked_at, new.revocation_reason) is distinct from (old.revoked_at, old.revocation_reason) then
    if old.revoked_at is not null then
      perform private.fail('illegal_transition', 'This certificate is revoked', 'id', jsonb_build_object('id', old.id, 'revoked_at', old.revoked_at));
    end if;
    new.revocation_reason := private.clean_text(new.revocation_reason);
    perform private.fail_input(private.input_error(new.revocation_reason is null, 'revocation_reason', 'Say why it is revoked')
      || private.input_error(length(new.revocation_reason) > 1000, 'revocation_reason', 'A reason has at most 1000 characters'));
    new.revoked_at := private.now();
    new.revoked_by := private.caller_id();
  end if;
  return new;
end;
$$;
comment on function private.keep_certificate() is 'Row trigger: a certificate is revoked once, with a reason; nothing else on it ever changes but a name that is erased.';

create trigger t20_keep before update on public.certificates
  for each row execute function private.keep_certificate();

-- The mark of the certificate's own booking is held by its foreign key; this is for the other sessions it counted.
create function private.keep_what_certificates_rest_on() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_certificate record;
begin
  select c.id, c.serial, c.holder_name into v_certificate
  from (
    select distinct private.run_of_session(s) as run_id, private.attendee_key(b) as person_key
    from old_rows o
    join public.session_bookings b on b.id = o.booking_id
    join public.course_sessions s on s.id = b.session_id
    where o.is_attended
  ) w
  join public.certificates c on c.run_id = w.run_id and c.person_key = w.person_key and c.revoked_at is null
  cross join lateral (select t.attended from private.run_standing(c.run_id) t where t.person_key = c.person_key) t
  where t.attended < c.sessions_required
  order by c.serial
  limit 1;
  if found then
    perform private.fail('illegal_transition', format('Certificate %s of %s rests on this', v_certificate.serial, v_certificate.holder_name), 'status',
      jsonb_build_object('certificate_id', v_certificate.id), 'Revoke the certificate first.');
  end if;
  return null;
end;
$$;
comment on function private.keep_what_certificates_rest_on() is 'Statement trigger: attendance a valid certificate needs is not taken away.';

create trigger t70_certificates_rest_on_update after update on public.attendance
  referencing old table as old_rows for each statement execute function private.keep_what_certificates_rest_on();
create trigger t70_certificates_rest_on_delete after delete on public.attendance
  referencing old table as old_rows for each statement execute function private.keep_what_certificates_rest_on();
