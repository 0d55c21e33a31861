-- The register: who was there. A mark belongs to a live booking of the session; it may be made from the session's start,
-- corrected afterwards (the audit trail keeps what it was), and makes the booking attended or no_show.

create table public.attendance (
  booking_id uuid primary key,
  session_id uuid not null,
  booking_live boolean not null default true,
  user_id uuid references auth.users (id) on delete set null,
  status text not null,
  is_attended boolean not null generated always as (status in ('present', 'late')) stored,
  notes text,
  marked_by uuid references auth.users (id) on delete set null,
  marked_at timestamptz not null default private.now(),
  version integer not null default 1,
  updated_at timestamptz not null default private.now(),
  constraint status_is_known check (status in ('present', 'absent', 'late', 'excused')),
  constraint notes_are_short check (length(notes) <= 1000),
  constraint booking_is_live check (booking_live),
  constraint mark_belongs_to_a_live_booking_of_its_session foreign key (booking_id, session_id, booking_live)
    references public.session_bookings (id, session_id, is_live),
  constraint attendance_certificates_rest_on unique (booking_id, is_attended)
);
create index attendance_session on public.attendance (session_id);
create index attendance_user on public.attendance (user_id);
create index attendance_marked_by on public.attendance (marked_by);
create index attendance_booking_session_live on public.attendance (booking_id, session_id, booking_live);
comment on table public.attendance is 'The registers of sessions: one mark for each booking that was marked.';
comment on column public.attendance.booking_live is
  'Always true: with booking and session the key of the foreign key that keeps marks on live bookings of their session.';
comment on column public.attendance.user_id is 'The login of who was marked; follows from the booking.';
comment on column public.attendance.status is 'present, absent, late or excused.';
comment on column public.attendance.is_attended is 'Whether it counts as having been there: present and late do.';
comment on column public.attendance.marked_by is 'Who marked it last; null when a server did.';
