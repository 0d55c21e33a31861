-- Certificates: that somebody attended a course. One rests on the attendance of a booking, and on enough of the sessions
-- that go with it: those of the run of its series, or the one session where it is a single one.
--
-- The life of a certificate: issued, with a serial number and a code by which any stranger can verify it; valid until it
-- expires or is revoked, with a reason. It says the same for ever; what it rests on cannot be taken away from it
-- without revoking it first.

create sequence private.certificate_numbers as bigint;
comment on sequence private.certificate_numbers is 'Counts certificates, for their serial numbers.';

create table public.certificates (
  id uuid primary key default gen_random_uuid(),
  booking_id uuid not null references public.session_bookings (id) on delete restrict,
  course_id uuid not null references public.courses (id) on delete restrict,
  run_id uuid not null,
  person_key text not null,
  user_id uuid references auth.users (id) on delete set null,
  holder_name text not null,
  course_title text not null,
  sessions_attended integer not null,
  sessions_required integer not null,
  serial text not null unique,
  verification_code text not null unique,
  issued_at timestamptz not null default private.now(),
  issued_by uuid references auth.users (id) on delete set null default private.caller_id(),
  expires_at timestamptz,
  revoked_at timestamptz,
  revoked_by uuid references auth.users (id) on delete set null,
  revocation_reason text,
  attended boolean generated always as (case when revoked_at is null then true end) stored,
  constraint rests_on_attendance foreign key (booking_id, attended) references public.attendance (booking_id, is_attended),
  constraint enough_was_attended check (sessions_required >= 1 and sessions_attended >= sessions_required),
  constraint expires_after_it_was_issued check (expires_at > issued_at),
  constraint revoked_says_why check ((revoked_at is null) = (revocation_reason is null)),
  constraint verification_code_cannot_be_guessed check (verification_code ~ '^[0-9A-F]{32}$'),
  constraint holder_name_is_given check (holder_name is not distinct from private.clean_text(holder_name) and length(holder_name) <= 200),
  constraint revocation_reason_is_short check (length(revocation_reason) <= 1000)
);
create unique index certificates_one_a_person_and_run on public.certificates (run_id, person_key) where revoked_at is null;
create index certificates_booking on public.certificates (booking_id, attended);
create index certificates_course on public.certificates (course_id, issued_at);
create index certificates_user on public.certificates (user_id);
create index certificates_issued_by on public.certificates (issued_by);
create index certificates_revoked_by on public.certificates (revoked_by);
comment on table public.certificates is 'Who attended which course; each rests on the attendance it certifies, and can be verified by its code.';
comment on column public.certificates.run_id is 'Which sessions it is for: the run of their series, or the one session.';
comment on column public.certificates.person_key is 'Who it is for, across bookings: the profile, or a hash of a guest''s address, or the booking.';
comment on column public.certificates.holder_name is 'The name on it, as it was when it was issued.';
comment on column public.certificates.course_title is 'The course''s title, as it was when it was issued.';
comment on column public.certificates.sessions_required is 'How many sessions had to be attended, as the setting said when it was issued.';
comment on column public.certificates.verification_code is '128 random bits in hexadecimal; whoever has it can verify the certificate.';
comment on column public.certificates.expires_at is 'From when it is no longer valid, by the course''s certificate_validity_days; null is never.';
comment on column public.certificates.attended is
  'True unless it is revoked: with the booking the key of the foreign key that lets no certificate be without attendance.';
