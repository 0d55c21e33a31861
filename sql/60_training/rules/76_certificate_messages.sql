-- What people are told of their certificates, in the transaction that makes the news: that one is issued, with the code by
-- which others verify it, and that one is revoked. As with bookings, a guest with an address gets an email, and for a guest
-- without one whoever booked is told. A repair tells nobody.

create function private.certificate_in_words(p_certificate public.certificates) returns text
language sql stable security definer set search_path = ''
return concat_ws('. ', p_certificate.course_title, p_certificate.holder_name, 'Certificate ' || p_certificate.serial,
  coalesce('Revoked: ' || p_certificate.revocation_reason, 'Verification code ' || p_certificate.verification_code));
comment on function private.certificate_in_words(public.certificates) is 'What it is for, whose it is, and the code to verify it by, or why it was revoked.';

create function private.tell_holders(p_kind text, p_certificate_ids uuid[], p_title text, p_title_of_many text) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if p_certificate_ids = '{}' or current_setting('classbase.fix', true) <> '' then
    return;
  end if;
  perform private.tell_people(array(
    select row(
      coalesce(b.profile_id, p.id), p_kind, format('%s: %s', p_title, c.course_title), p_title_of_many,
      private.certificate_in_words(c), c.issued_at, 'certificates', c.id::text
    )::private.news
    from public.certificates c
    join public.session_bookings b on b.id = c.booking_id
    left join public.user_profiles p on p.user_id = b.booked_by
    where c.id = any(p_certificate_ids) and (b.profile_id is not null or b.attendee_email is null and p.id is not null)
  ));
  insert into public.outbox (channel, recipient, subject, body, kind, dedupe_key)
  select 'email', b.attendee_email, left(format('%s: %s', p_title, c.course_title), 300), private.certificate_in_words(c), p_kind,
    concat_ws(' ', p_kind, c.id)
  from public.certificates c
  join public.session_bookings b on b.id = c.booking_id
  where c.id = any(p_certificate_ids) and b.profile_id is null and b.attendee_email is not null
  order by c.id
  on conflict (dedupe_key) do nothing;
end;
$$;
comment on function private.tell_holders(text, uuid[], text, text) is 'Tells the holders of certificates, or who booked for them, the same thing about these.';

create function private.tell_of_certificates() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if tg_op = 'INSERT' then
    perform private.tell_holders('certificate_issued', array(select n.id from new_rows n), 'Your certificate', '%s certificates of yours');
  else
    perform private.tell_holders('certificate_revoked',
      array(select n.id from new_rows n join old_rows o on o.id = n.id where n.revoked_at is not null and o.revoked_at is null),
      'Your certificate is revoked', '%s certificates of yours are revoked');
  end if;
  return null;
end;
$$;
comment on function private.tell_of_certificates() is 'Statement trigger: tells the holders that their certificate is issued, or revoked.';

create trigger t96_tell_insert after insert on public.certificates
  referencing new table as new_rows for each statement execute function private.tell_of_certificates();
create trigger t96_tell_update after update on public.certificates
  referencing old table as old_rows new table as new_rows for each statement execute function private.tell_of_certificates();
