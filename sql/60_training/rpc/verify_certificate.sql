-- Definer, and says what a certificate shows and no more: neither whose login it is nor why it was revoked.
create function private.verified_certificate(p_code text) returns table (
  status text, serial text, holder_name text, course_title text, organisation text, issued_on date, expires_on date, revoked_on date
)
language sql stable security definer set search_path = ''
begin atomic
  select case when c.revoked_at is not null then 'revoked' when c.expires_at <= private.now() then 'expired' else 'valid' end,
    c.serial, c.holder_name, c.course_title, private.setting_text('organisation_name'),
    (c.issued_at at time zone z.zone)::date, (c.expires_at at time zone z.zone)::date, (c.revoked_at at time zone z.zone)::date
  from public.certificates c
  cross join (select private.setting_text('organisation_time_zone') as zone) z
  where c.verification_code = upper(regexp_replace(p_code, '[^0-9A-Fa-f]', '', 'g')) and length(p_code) <= 100;
end;
comment on function private.verified_certificate(text) is 'What the certificate of a verification code shows, however the code is grouped.';

-- Volatile and without a refusal on purpose: only what may write is counted before it is answered, and what is refused takes
-- its count back with it. So guessing is limited as any other call is, besides being hopeless.
create function public.verify_certificate(p_code text) returns table (
  status text, serial text, holder_name text, course_title text, organisation text, issued_on date, expires_on date, revoked_on date
)
language sql volatile set search_path = ''
begin atomic
  select * from private.verified_certificate(p_code);
end;
comment on function public.verify_certificate(text) is
  'Verifies a certificate by its code, for anyone: one row with what the certificate shows and its status (valid, expired or revoked), or none for a code nobody was given. Spaces, dashes and case do not matter. Counted per caller as writing calls are, so that guessing (128 random bits) is limited besides being hopeless.';
