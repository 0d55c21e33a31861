-- 40_studio: bookings, class schedules, class assignments and instructors' pay.
--
-- A customer's booking asks for classes; a class schedule is a weekly template; an assignment is one class that an
-- instructor is to teach, for pay, on a date, with the bookings it serves.
--
-- The life of a booking: pending; confirmed for as long as a class that is not cancelled serves it; completed or
-- cancelled, which are ends. Nobody sets confirmed or pending: it follows from the links in assignment_bookings, whoever
-- writes those.
--
-- The life of a class: scheduled; completed once it has begun, or cancelled. Beside it runs the instructor's answer
-- (pending, accepted or rejected; a rejected class is given to somebody else) and the pay (pending, paid or cancelled).
--
-- Promises: a class takes its instructor and its room in the ledger of 20_time, unless it is cancelled; a rejected one
-- frees the instructor. A class made from a schedule takes over that date of it. A class never serves more bookings than
-- its schedule or class type has room for. The amount paid for a class changes in open pay periods only.
--
-- Lock order: exceptions to weekly rules, class assignments and class schedules, resources, claims (as in 20_time); then
-- class types, bookings by their code, and at last packages bought.

create table public.bookings (
  id uuid primary key default gen_random_uuid(),
  booking_id text not null,
  user_id uuid references auth.users (id) on delete set null default private.caller_id(),
  profile_id uuid references public.user_profiles (id) on delete restrict,
  class_name text,
  instructor text,
  class_date date,
  class_time time,
  preferred_days text[] not null default '{}',
  preferred_times text[] not null default '{}',
  timezone text not null default 'Asia/Kolkata',
  first_name text,
  last_name text,
  email text,
  phone text,
  status text not null default 'pending',
  booking_type text not null default 'individual',
  class_package_id uuid references public.packages (id) on delete restrict,
  uses_credits boolean not null default false,
  notes text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint bookings_one_booking_id unique (booking_id),
  constraint booking_id_is_a_code check (booking_id ~ '^[A-Z0-9]{1,10}-[0-9]{8}-[0-9A-Z]{4,12}$'),
  constraint status_is_known check (status in ('pending', 'confirmed', 'completed', 'cancelled')),
  constraint booking_type_is_known check (booking_type in ('individual', 'corporate', 'private_group', 'public_group')),
  constraint timezone_exists check (private.is_time_zone(timezone)),
  constraint email_is_an_address check (private.is_email(email)),
  constraint class_date_is_between_1970_and_2200 check (class_date between date '1970-01-01' and date '2199-12-31'),
  constraint preferences_are_few check (
    cardinality(preferred_days) <= 20 and cardinality(preferred_times) <= 20
    and length(array_to_string(preferred_days, '')) <= 1000 and length(array_to_string(preferred_times, '')) <= 1000
  ),
  constraint texts_are_short check (
    length(class_name) <= 200 and length(instructor) <= 200 and length(first_name) <= 200 and length(last_name) <= 200
    and length(phone) <= 50 and length(notes) <= 1000
  ),
  constraint credits_belong_to_somebody check (not uses_credits or profile_id is not null)
);
create index bookings_user on public.bookings (user_id);
create index bookings_profile on public.bookings (profile_id);
create index bookings_class_package on public.bookings (class_package_id);
create index bookings_status_date on public.bookings (status, class_date);
create index bookings_created_at on public.bookings (created_at);
create index bookings_created_by on public.bookings (created_by);
comment on table public.bookings is 'What customers ask for: classes of a kind, at times that suit them.';
comment on column public.bookings.booking_id is
  'The code customers are told, such as YOG-20260131-0417: the prefix is a setting, the date the organisation''s on the day of booking. Given by the database.';
comment on column public.bookings.user_id is 'The login the booking belongs to; follows from profile_id where only that is given.';
comment on column public.bookings.profile_id is 'The customer, where they are known as a person; follows from user_id.';
comment on column public.bookings.class_name is 'What was asked for, in the customer''s words.';
comment on column public.bookings.instructor is 'Whom they would like, in their words.';
comment on column public.bookings.class_date is 'The day they would like, in their time zone.';
comment on column public.bookings.class_time is 'The time they would like, in their time zone.';
comment on column public.bookings.timezone is 'The IANA zone in which the customer means date and times.';
comment on column public.bookings.status is
  'pending, confirmed while a class that is not cancelled serves it, completed or cancelled. confirmed and pending follow from the classes.';
comment on column public.bookings.booking_type is 'individual, corporate, private_group or public_group.';
comment on column public.bookings.class_package_id is 'The package it asks for.';
comment on column public.bookings.uses_credits is
  'Whether each class that serves it uses a credit of what the customer bought (of class_package_id, or of any package where that is null).';

-- One counter for all days: drawing from it waits for nobody. A day can hold 36^4 codes before one is drawn twice.
create sequence private.booking_numbers;
comment on sequence private.booking_numbers is 'Where the last part of booking codes comes from.';
