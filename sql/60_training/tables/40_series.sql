-- Series: sessions that recur by a rule of RFC 5545. A series is a template and a promise: each date of it has a session,
-- as far ahead as the setting series_horizon_days says. The sessions are rows of their own from then on: what somebody
-- changed, cancelled or booked stays, and only what is missing is ever added.
--
-- The life of a series: planned, with everything in its way, before anything is written; created, all of it or as much
-- as fits; carried on each night; changed from a date on, by ending it before that date and going on in another one of
-- the same run; cancelled, which cancels what has not begun.
--
-- Lock order: sessions by id, then their series, then as in 10_sessions.sql.

create table public.session_series (
  id uuid primary key default gen_random_uuid(),
  run_id uuid not null,
  course_id uuid not null references public.courses (id) on delete restrict,
  location_id uuid references public.locations (id) on delete restrict,
  instructor_id uuid references public.user_profiles (id) on delete restrict,
  rrule text not null,
  first_date date not null,
  ends_on date,
  rdates date[] not null default '{}',
  exdates date[] not null default '{}',
  start_time time not null,
  end_time time not null,
  time_zone text not null,
  max_capacity integer not null,
  min_bookings integer,
  price numeric(12,2) not null,
  status text not null default 'active',
  cancellation_reason text,
  notes text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint rrule_can_be_read check (private.rrule_errors(rrule) = '[]'),
  constraint dates_are_between_1970_and_2200 check (
    first_date between date '1970-01-01' and date '2199-12-31' and coalesce(ends_on, first_date) between first_date - 1 and date '2199-12-31'
  ),
  constraint exceptions_are_dates check (
    array_position(rdates, null) is null and array_position(exdates, null) is null
    and cardinality(rdates) <= 1000 and cardinality(exdates) <= 10000
  ),
  constraint start_is_before_end check (start_time < end_time),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint capacity_is_sensible check (max_capacity between 1 and 10000),
  constraint minimum_fits_in check (min_bookings between 1 and max_capacity),
  constraint price_is_an_amount check (price between 0 and 9999999999.99),
  constraint status_is_known check (status in ('active', 'cancelled')),
  constraint cancelled_says_why check ((status = 'cancelled') = (cancellation_reason is not null)),
  constraint texts_are_short check (length(cancellation_reason) <= 1000 and length(notes) <= 1000)
);
create index session_series_run on public.session_series (run_id);
create index session_series_course on public.session_series (course_id);
create index session_series_location on public.session_series (location_id);
create index session_series_instructor on public.session_series (instructor_id);
create index session_series_created_by on public.session_series (created_by);
comment on table public.session_series is 'Sessions that recur: a rule, its exceptions, and what each session is like.';
comment on column public.session_series.run_id is 'The run it belongs to: its own id, or that of the series it goes on from.';
comment on column public.session_series.rrule is 'An RFC 5545 rule, such as FREQ=WEEKLY;BYDAY=MO,WE; docs/series.md says which.';
comment on column public.session_series.first_date is 'The local date it starts counting from; it has a session there only when the rule says so.';
comment on column public.session_series.ends_on is 'Its last date, where another series goes on from there; null where the rule alone decides.';
comment on column public.session_series.rdates is 'Dates it has besides those of the rule.';
comment on column public.session_series.exdates is 'Dates it does not have although the rule says so; deleting a session adds its date.';
comment on column public.session_series.status is 'active or cancelled.';

-- Every session of a series stands for one date of it, which stays the same when the session itself is moved.
alter table public.course_sessions
  add column series_date date,
  add constraint course_sessions_series_id_fkey foreign key (series_id) references public.session_series (id) on delete restrict,
  add constraint series_says_which_date check ((series_id is null) = (series_date is null));
create unique index course_sessions_one_a_series_and_date on public.course_sessions (series_id, series_date) where series_id is not null;
comment on column public.course_sessions.series_date is 'The date of the series it stands for; it keeps it when it is moved.';
