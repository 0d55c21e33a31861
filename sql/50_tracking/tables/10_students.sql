-- 50_tracking: every student's classes exist, once.
--
-- A student has a start date and a fixed weekly schedule (`students.fixed_schedule`). From it the system makes the
-- student's `classes`, up to a horizon a few weeks ahead, and goes on making them every week.
--
-- The schedule is kept as `student_schedule_slots`, each a weekly time that holds from one date to another: when the
-- schedule changes, slots end and others begin, and what was promised before stays known. What is promised is worked out
-- by one function, private.promised_classes(): each slot on each of its dates since the student started, with the reason
-- where a date is left out (a closure, the student's pause, the teacher's time off, an hour the clock skips). Generation
-- writes what is promised and not there; diagnosis reports it; both ask that function.
--
-- The life of a class: made for a date of a slot (keyed by slot and date, so that no rerun makes it twice), held
-- (`completed`) or not attended (`missed`), or called off (`cancelled`, with who, why and how long before), or moved
-- (`rescheduled`, replaced by another that names it). Generation only adds what is missing, and takes away again what is
-- still to come, untouched by anybody, and promised no longer. What a person edited, cancelled, recorded attendance of
-- or paid for stays.
--
-- Promises: a student is in one class at a time, and so is a teacher, in this module and in every other one (classes claim
-- their teacher in the ledger); a class whose teacher is taken is not made and stays on the list of what is missing.
--
-- Lock order: students by id, then classes by id, then resources by id, then claims.

create table public.students (
  id uuid primary key default gen_random_uuid(),
  first_name text not null,
  last_name text,
  email text,
  phone text,
  user_id uuid references auth.users (id) on delete set null,
  profile_id uuid references public.user_profiles (id) on delete set null,
  course_id uuid references public.courses (id) on delete restrict,
  teacher_id uuid references public.user_profiles (id) on delete restrict,
  start_date date not null,
  end_date date,
  fixed_schedule jsonb not null default '[]',
  time_zone text not null,
  class_price numeric(12,2),
  teacher_pay numeric(12,2),
  is_active boolean not null default true,
  inactive_since date,
  notes text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint first_name_is_given check (first_name is not distinct from private.clean_text(first_name) and length(first_name) <= 100),
  constraint last_name_is_short check (length(last_name) <= 100),
  constraint email_is_a_lower_case_address check (private.is_email(email)),
  constraint phone_is_e164 check (private.is_phone(phone)),
  constraint starts_before_it_ends check (start_date <= end_date),
  constraint dates_are_between_1970_and_2200 check (start_date >= date '1970-01-01' and start_date <= date '2199-12-31' and end_date <= date '2199-12-31'),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  -- NaN counts as larger than any number, so the upper bound keeps it out.
  constraint class_price_is_an_amount check (class_price between 0 and 9999999999.99),
  constraint teacher_pay_is_an_amount check (teacher_pay between 0 and 9999999999.99),
  constraint inactive_says_since_when check (is_active = (inactive_since is null)),
  constraint notes_are_short check (length(notes) <= 1000)
);
create index students_name on public.students (last_name, first_name);
create index students_user on public.students (user_id);
create index students_profile on public.students (profile_id);
create index students_course on public.students (course_id);
create index students_teacher on public.students (teacher_id);
create index students_created_by on public.students (created_by);
comment on table public.students is 'People who take classes of their own every week.';
comment on column public.students.user_id is 'The student''s login; null while there is none.';
comment on column public.students.profile_id is 'The person, who pays; the login''s, where there is one and nobody else is named.';
comment on column public.students.course_id is 'What they are taught; their classes are of it, and cost what it costs.';
comment on column public.students.teacher_id is 'Who teaches them.';
comment on column public.students.start_date is 'The first day classes are promised for.';
comment on column public.students.end_date is 'The last day; null is without end.';
comment on column public.students.fixed_schedule is
  'The weekly schedule, [{"day": "monday", "start_time": "17:00", "duration_minutes": 60}, …]. Also understood: dayOfWeek (0 Sunday to 6 Saturday), time, end_time, and an object keyed by day. Without a duration a class takes as long as the course says.';
comment on column public.students.time_zone is 'The IANA zone of the schedule; the organisation''s, where none is given.';
comment on column public.students.class_price is 'What one class costs, in the organisation''s currency; null is what the course costs.';
comment on column public.students.teacher_pay is 'What the teacher gets for one class; null is what the teacher''s rate says.';
comment on column public.students.is_active is 'False for who left: from then on nothing is promised.';
comment on column public.students.inactive_since is 'The day from which nothing is promised any more; null for the active. Kept as a pause once they are back.';

create table public.student_schedule_slots (
  id uuid primary key default gen_random_uuid(),
  student_id uuid not null references public.students (id) on delete cascade,
  weekday smallint not null,
  start_time time not null,
  end_time time not null,
  time_zone text not null,
  effective daterange not null default '(,)',
  created_at timestamptz not null default private.now(),
  constraint weekday_is_sunday_0_to_saturday_6 check (weekday between 0 and 6),
  constraint start_is_before_end check (start_time < end_time),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint student_schedule_slots_of_whom unique (id, student_id),
  constraint slots_of_a_student_do_not_overlap exclude using gist (
    student_id with =, weekday with =, effective with &&,
    tsrange(date '2000-01-01' + start_time, date '2000-01-01' + end_time) with &&
  )
);
comment on table public.student_schedule_slots is
  'The weekly times of each student, from when until when; follows students.fixed_schedule, and keeps what it said before.';
comment on column public.student_schedule_slots.weekday is '0 Sunday to 6 Saturday.';
comment on column public.student_schedule_slots.end_time is 'On the same day; 24:00 is midnight.';
comment on column public.student_schedule_slots.effective is 'The dates it holds for, within those of the student; upper bound excluded. Empty for one that was replaced before it began.';

create table public.student_pauses (
  id uuid primary key default gen_random_uuid(),
  student_id uuid not null references public.students (id) on delete cascade,
  starts_on date not null,
  ends_on date,
  reason text not null,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint first_day_is_not_after_last check (starts_on <= ends_on),
  constraint is_between_1970_and_2200 check (starts_on >= date '1970-01-01' and starts_on <= date '2199-12-31' and ends_on <= date '2199-12-31'),
  constraint reason_is_given check (reason is not distinct from private.clean_text(reason) and length(reason) <= 1000),
  constraint pauses_of_a_student_do_not_overlap exclude using gist (student_id with =, daterange(starts_on, ends_on, '[]') with &&)
);
create index student_pauses_created_by on public.student_pauses (created_by);
comment on table public.student_pauses is 'Days on which a student has no classes: travel, illness, or having left for a while.';
comment on column public.student_pauses.ends_on is 'The last day; null while nobody knows.';
