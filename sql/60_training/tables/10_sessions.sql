-- 60_training: course sessions with hard seats.
--
-- A session is one happening of a course: a day, a time, a place, somebody who teaches it, and so many seats. A booking
-- is somebody's place in it. Seats are rows: a session of twelve has twelve rows in `session_seats`, each owned by one
-- live booking or by nobody, and there is no thirteenth row to own. A foreign key to a booking's (id, session, whether it
-- is live) says that a taken seat belongs to a live booking of that very session.
--
-- The life of a session: tentative until as many have booked as it needs, or scheduled at once; in progress; completed.
-- Or cancelled, before it begins: then its bookings are cancelled with it. The life of a booking: confirmed, which takes
-- its seats or fails; then attended or no_show, or cancelled, which gives them back. The life of a hold: it keeps seats
-- for some minutes, and is over when they have passed, whether or not any job runs.
--
-- Promises: never more seats are taken than there are, whoever writes; whoever holds a seat keeps it until the hold is
-- over, and whoever moves to another session loses the seat they have only with the new one in hand. A session takes
-- its instructor and its place in the ledger of 20_time.
--
-- Lock order: sessions by id, bookings, seats by number; after them resources and claims (20_time). Taking a seat locks
-- no session: free seats are taken past the locked ones. Who finds too few that way gives back what it has, queues for the
-- session and takes seats in order. So nobody ever waits while holding seats that were taken past locked ones, and whoever
-- changes a booking that is there never waits for a session.

create table public.course_sessions (
  id uuid primary key default gen_random_uuid(),
  course_id uuid not null references public.courses (id) on delete restrict,
  location_id uuid references public.locations (id) on delete restrict,
  instructor_id uuid references public.user_profiles (id) on delete restrict,
  session_date date not null,
  start_time time not null,
  end_time time not null,
  time_zone text not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  max_capacity integer not null,
  min_bookings integer,
  decide_by timestamptz,
  status text not null default 'scheduled',
  series_id uuid,
  price numeric(12,2) not null,
  cancellation_reason text,
  cancelled_at timestamptz,
  notes text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint start_is_before_end check (start_time < end_time and starts_at < ends_at),
  constraint date_is_between_1970_and_2200 check (session_date between date '1970-01-01' and date '2199-12-31'),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint capacity_is_sensible check (max_capacity between 1 and 10000),
  constraint minimum_fits_in check (min_bookings between 1 and max_capacity),
  constraint status_is_known check (status in ('tentative', 'scheduled', 'in_progress', 'completed', 'cancelled')),
  constraint tentative_waits_for_something check (status <> 'tentative' or min_bookings is not null),
  constraint price_is_an_amount check (price between 0 and 9999999999.99),
  constraint cancelled_says_why_and_when check (
    (status = 'cancelled') = (cancelled_at is not null) and (status = 'cancelled') = (cancellation_reason is not null)
  ),
  constraint texts_are_short check (length(cancellation_reason) <= 1000 and length(notes) <= 1000)
);
create index course_sessions_date on public.course_sessions (session_date, start_time);
create index course_sessions_course on public.course_sessions (course_id, session_date);
create index course_sessions_location on public.course_sessions (location_id, session_date);
create index course_sessions_instructor on public.course_sessions (instructor_id, session_date);
create index course_sessions_series on public.course_sessions (series_id) where series_id is not null;
create index course_sessions_running on public.course_sessions (starts_at) where status in ('tentative', 'scheduled', 'in_progress');
create index course_sessions_created_by on public.course_sessions (created_by);
comment on table public.course_sessions is
  'Single happenings of courses, each with so many seats. Its instructor and its place are taken in the ledger.';
comment on column public.course_sessions.location_id is 'The place it takes; null where it needs none.';
comment on column public.course_sessions.instructor_id is 'Who teaches it; null until somebody is found.';
comment on column public.course_sessions.session_date is 'The local date in time_zone.';
comment on column public.course_sessions.start_time is 'Wall-clock time in time_zone.';
comment on column public.course_sessions.end_time is 'On the same day; 24:00 is midnight. Left out, it follows from how long the course''s sessions take.';
comment on column public.course_sessions.time_zone is 'IANA zone; the location''s, else the organisation''s, where none is given.';
comment on column public.course_sessions.starts_at is 'When it starts, worked out from date, start_time and time_zone.';
comment on column public.course_sessions.ends_at is 'When it ends, worked out likewise.';
comment on column public.course_sessions.max_capacity is
  'How many seats it has: one row each in session_seats. Left out, what the course says, within the setting session_capacity_max.';
comment on column public.course_sessions.min_bookings is 'How many seats have to be taken for it to be held; null where that does not matter.';
comment on column public.course_sessions.decide_by is 'Until when that many must have booked; afterwards diagnosis says that somebody has to decide.';
comment on column public.course_sessions.status is 'tentative (until min_bookings seats are taken), scheduled, in_progress, completed or cancelled.';
comment on column public.course_sessions.series_id is 'The series it was made from; null for a single one.';
comment on column public.course_sessions.price is 'What a seat costs, in the organisation''s currency; the course''s price where none is given.';
comment on column public.course_sessions.cancellation_reason is 'Why it was cancelled; whoever booked is told, and everybody sees it.';
comment on column public.course_sessions.notes is 'What whoever thinks of booking should know; everybody sees it.';

create table public.session_bookings (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null references public.course_sessions (id) on delete restrict,
  user_id uuid references auth.users (id) on delete set null,
  profile_id uuid references public.user_profiles (id) on delete restrict,
  attendee_name text,
  attendee_email text,
  status text not null default 'confirmed',
  seats integer not null default 1,
  is_live boolean not null generated always as (status <> 'cancelled') stored,
  price numeric(12,2) not null,
  booked_by uuid references auth.users (id) on delete set null default private.caller_id(),
  booked_at timestamptz not null default private.now(),
  cancelled_at timestamptz,
  cancellation_reason text,
  notes text,
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  -- The session first, so that it also finds the bookings of one.
  constraint session_bookings_seats_belong_to unique (session_id, id, is_live),
  constraint status_is_known check (status in ('confirmed', 'cancelled', 'attended', 'no_show')),
  constraint seats_are_few check (seats between 1 and 1000),
  constraint somebody_takes_part check (profile_id is not null or attendee_name is not null),
  constraint attendee_email_is_a_lower_case_address check (private.is_email(attendee_email)),
  constraint price_is_an_amount check (price between 0 and 9999999999.99),
  constraint cancelled_says_when check ((status = 'cancelled') = (cancelled_at is not null)),
  constraint texts_are_short check (length(attendee_name) <= 200 and length(cancellation_reason) <= 1000 and length(notes) <= 1000)
);
create unique index session_bookings_one_a_person on public.session_bookings (session_id, profile_id)
  where is_live and profile_id is not null;
create unique index session_bookings_one_an_address on public.session_bookings (session_id, attendee_email)
  where is_live and attendee_email is not null;
create index session_bookings_user on public.session_bookings (user_id) where user_id is not null;
create index session_bookings_profile on public.session_bookings (profile_id) where profile_id is not null;
create index session_bookings_booked_by on public.session_bookings (booked_by) where booked_by is not null;
comment on table public.session_bookings is
  'Who has a place in which session: somebody with a profile, or a guest by name. A booking takes its seats when it is written, or fails.';
comment on column public.session_bookings.user_id is 'The login of who takes part; follows from profile_id where only that is given.';
comment on column public.session_bookings.profile_id is 'Who takes part, where they are known as a person; follows from user_id.';
comment on column public.session_bookings.attendee_name is 'The name of a guest.';
comment on column public.session_bookings.attendee_email is 'The address of a guest, in lower case.';
comment on column public.session_bookings.status is 'confirmed, cancelled, attended or no_show.';
comment on column public.session_bookings.seats is 'How many seats it takes.';
comment on column public.session_bookings.is_live is 'Whether it owns seats: unless it is cancelled.';
comment on column public.session_bookings.price is 'What it costs, as it was when the booking was made: the session''s price for each seat.';
comment on column public.session_bookings.booked_by is 'The login that booked; null when a server did.';
