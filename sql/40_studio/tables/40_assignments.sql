-- Classes that instructors are to teach, and the bookings they serve.

create table public.class_assignments (
  id uuid primary key default gen_random_uuid(),
  class_type_id uuid references public.class_types (id) on delete restrict,
  package_id uuid references public.packages (id) on delete restrict,
  instructor_id uuid not null references public.user_profiles (id) on delete restrict,
  location_id uuid references public.locations (id) on delete restrict,
  date date not null,
  start_time time,
  end_time time,
  time_zone text not null,
  starts_at timestamptz,
  ends_at timestamptz,
  payment_amount numeric(12,2) not null,
  payment_type text not null default 'per_class',
  schedule_type text not null default 'adhoc',
  booking_type text not null default 'individual',
  class_status text not null default 'scheduled',
  payment_status text not null default 'pending',
  instructor_status text not null default 'pending',
  instructor_response_at timestamptz,
  notes text,
  assigned_by uuid references auth.users (id) on delete set null default private.caller_id(),
  assigned_at timestamptz not null default private.now(),
  schedule_id uuid references public.class_schedules (id) on delete set null,
  occurs_on date,
  plan_id uuid,
  rate numeric(12,2),
  rate_id uuid references public.instructor_rates (id) on delete restrict,
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint times_go_together check ((start_time is null) = (end_time is null)),
  constraint start_is_before_end check (start_time < end_time),
  constraint instants_follow_the_times check (
    (start_time is null) = (starts_at is null) and (start_time is null) = (ends_at is null) and coalesce(starts_at < ends_at, true)
  ),
  constraint date_is_between_1970_and_2200 check (date between date '1970-01-01' and date '2199-12-31'),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint payment_amount_is_an_amount check (payment_amount between 0 and 9999999999.99),
  constraint rate_is_above_zero check (rate > 0 and rate <= 9999999999.99),
  constraint payment_type_is_known check (
    payment_type in ('per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class')
  ),
  constraint schedule_type_is_known check (schedule_type in ('adhoc', 'weekly', 'monthly', 'crash', 'package')),
  constraint booking_type_is_known check (booking_type in ('individual', 'corporate', 'private_group', 'public_group')),
  constraint class_status_is_known check (class_status in ('scheduled', 'completed', 'cancelled')),
  constraint payment_status_is_known check (payment_status in ('pending', 'paid', 'cancelled')),
  constraint instructor_status_is_known check (instructor_status in ('pending', 'accepted', 'rejected')),
  constraint schedule_says_which_date check (schedule_id is null or occurs_on is not null),
  constraint notes_are_short check (length(notes) <= 1000)
);
-- The order frontends list in, and what a window of days is read with.
create index class_assignments_date on public.class_assignments (date, start_time);
create index class_assignments_instructor on public.class_assignments (instructor_id, date, start_time);
create index class_assignments_class_type on public.class_assignments (class_type_id);
create index class_assignments_package on public.class_assignments (package_id);
create index class_assignments_location on public.class_assignments (location_id);
create index class_assignments_assigned_by on public.class_assignments (assigned_by);
create index class_assignments_rate on public.class_assignments (rate_id);
create index class_assignments_plan on public.class_assignments (plan_id) where plan_id is not null;
create index class_assignments_schedule on public.class_assignments (schedule_id, occurs_on);
comment on table public.class_assignments is 'Classes that instructors are to teach, each with its pay. Its instructor and room are taken in the ledger.';
comment on column public.class_assignments.class_type_id is 'What is taught; null where only a package says.';
comment on column public.class_assignments.package_id is 'The package it is part of, if it is.';
comment on column public.class_assignments.instructor_id is 'Who teaches it, and is paid.';
comment on column public.class_assignments.location_id is 'The room it takes; null where it needs none.';
comment on column public.class_assignments.date is 'The local date in time_zone.';
comment on column public.class_assignments.start_time is 'Wall-clock time in time_zone; null together with end_time where the time is not arranged, which takes nobody''s time.';
comment on column public.class_assignments.end_time is 'On the same day; 24:00 is midnight.';
comment on column public.class_assignments.time_zone is 'IANA zone; the schedule''s, else the location''s, else the organisation''s, where none is given.';
comment on column public.class_assignments.starts_at is 'When it starts, worked out from date, start_time and time_zone.';
comment on column public.class_assignments.ends_at is 'When it ends, worked out likewise.';
comment on column public.class_assignments.payment_amount is 'What the instructor is paid for this class, in the organisation''s currency; left out, it follows from the instructor''s rate, or is 0.';
comment on column public.class_assignments.payment_type is 'How the amount was agreed; see calculate_payment().';
comment on column public.class_assignments.schedule_type is 'How it came about: adhoc, weekly, monthly, crash or package.';
comment on column public.class_assignments.booking_type is 'individual, corporate, private_group or public_group.';
comment on column public.class_assignments.class_status is 'scheduled, completed or cancelled.';
comment on column public.class_assignments.payment_status is 'pending, paid or cancelled.';
comment on column public.class_assignments.instructor_status is 'pending, accepted or rejected; pending again once somebody else is asked.';
comment on column public.class_assignments.instructor_response_at is 'When the instructor accepted or rejected.';
comment on column public.class_assignments.assigned_by is 'The login that assigned it; null when a server did.';
comment on column public.class_assignments.schedule_id is 'The template it came from; it takes over the date occurs_on of it.';
comment on column public.class_assignments.occurs_on is 'The date of the template it stands for; stays when the class is moved.';
comment on column public.class_assignments.plan_id is 'Classes planned together, over which a total was split.';
comment on column public.class_assignments.rate is 'The rate the amount was worked out from, frozen; null where only an amount was agreed.';
comment on column public.class_assignments.rate_id is 'The instructor''s own rate it was taken from; null where one was given.';

create table public.assignment_bookings (
  assignment_id uuid not null references public.class_assignments (id) on delete cascade,
  booking_id text not null references public.bookings (booking_id) on delete restrict,
  id uuid not null default gen_random_uuid(),
  created_at timestamptz not null default private.now(),
  primary key (assignment_id, booking_id),
  constraint assignment_bookings_one_id unique (id)
);
create index assignment_bookings_booking on public.assignment_bookings (booking_id);
comment on table public.assignment_bookings is 'Which bookings a class serves.';
comment on column public.assignment_bookings.booking_id is 'The booking''s code.';
comment on column public.assignment_bookings.id is 'What a credit is used for.';

create table public.class_assignments_archive (
  like public.class_assignments including defaults including comments,
  booking_ids text[] not null default '{}',
  archived_by uuid default private.caller_id(),
  archived_at timestamptz not null default private.now(),
  primary key (id)
);
create index class_assignments_archive_date on public.class_assignments_archive (date, start_time);
create index class_assignments_archive_instructor on public.class_assignments_archive (instructor_id, date);
create index class_assignments_archive_bookings on public.class_assignments_archive using gin (booking_ids);
comment on table public.class_assignments_archive is 'Classes of long ago, as they were when they were moved here, with the bookings they served.';
comment on column public.class_assignments_archive.booking_ids is 'The codes of the bookings it served.';
comment on column public.class_assignments_archive.archived_by is 'The login that moved it here; null when a server did.';
