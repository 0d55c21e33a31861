-- The classes themselves, who was there, and what calling one off means.

create table public.classes (
  id uuid primary key default gen_random_uuid(),
  student_id uuid not null references public.students (id) on delete restrict,
  course_id uuid references public.courses (id) on delete restrict,
  teacher_id uuid references public.user_profiles (id) on delete restrict,
  date date not null,
  start_time time not null,
  end_time time not null,
  time_zone text not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  status text not null default 'scheduled',
  payment_status text not null default 'pending',
  source text not null default 'manual',
  slot_id uuid,
  occurs_on date,
  rescheduled_from uuid references public.classes (id) on delete restrict,
  price numeric(12,2),
  teacher_pay numeric(12,2),
  cancelled_by text,
  cancellation_reason text,
  cancelled_at timestamptz,
  is_charged boolean not null default true,
  is_teacher_paid boolean not null default true,
  edited_at timestamptz,
  notes text,
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint classes_one_a_start unique (student_id, date, start_time),
  constraint classes_one_a_slot_and_date unique (slot_id, student_id, occurs_on),
  constraint no_student_is_in_two_classes exclude using gist (student_id with =, tstzrange(starts_at, ends_at) with &&)
    where (status in ('scheduled', 'completed', 'missed')),
  constraint classes_slot_is_the_students foreign key (slot_id, student_id)
    references public.student_schedule_slots (id, student_id) on delete restrict,
  constraint start_is_before_end check (start_time < end_time and starts_at < ends_at),
  constraint date_is_between_1970_and_2200 check (date between date '1970-01-01' and date '2199-12-31'),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint status_is_known check (status in ('scheduled', 'completed', 'cancelled', 'missed', 'rescheduled')),
  constraint payment_status_is_known check (payment_status in ('pending', 'paid', 'waived')),
  constraint source_is_known check (source in ('generated', 'manual', 'makeup', 'rescheduled', 'import')),
  constraint slot_says_which_date check ((slot_id is null) = (occurs_on is null)),
  constraint generated_from_a_slot check (source <> 'generated' or slot_id is not null),
  constraint replaces_another check (rescheduled_from <> id),
  constraint price_is_an_amount check (price between 0 and 9999999999.99),
  constraint teacher_pay_is_an_amount check (teacher_pay between 0 and 9999999999.99),
  constraint cancelled_by_is_known check (cancelled_by in ('student', 'teacher', 'organisation')),
  constraint cancelled_says_who_why_and_when check (
    (status = 'cancelled') = (cancelled_by is not null) and (status = 'cancelled') = (cancellation_reason is not null)
    and (status = 'cancelled') = (cancelled_at is not null)
  ),
  constraint texts_are_short check (length(cancellation_reason) <= 1000 and length(notes) <= 1000)
);
create index classes_date on public.classes (date, start_time);
create index classes_teacher on public.classes (teacher_id, date);
create index classes_course on public.classes (course_id);
create unique index classes_one_replacement on public.classes (rescheduled_from) where rescheduled_from is not null and status <> 'cancelled';
create index classes_replaced on public.classes (rescheduled_from) where rescheduled_from is not null;
create index classes_scheduled on public.classes (ends_at) where status = 'scheduled';
comment on table public.classes is 'Each student''s classes: made from the schedule, or by hand. Their teacher is taken in the ledger.';
comment on column public.classes.date is 'The local date in time_zone.';
comment on column public.classes.start_time is 'Wall-clock time in time_zone.';
comment on column public.classes.end_time is 'On the same day; 24:00 is midnight.';
comment on column public.classes.time_zone is 'IANA zone; the student''s, where none is given.';
comment on column public.classes.starts_at is 'When it starts, worked out from date, start_time and time_zone.';
comment on column public.classes.ends_at is 'When it ends, worked out likewise.';
comment on column public.classes.status is 'scheduled, completed, cancelled, missed (the student was not there) or rescheduled (another class stands for it).';
comment on column public.classes.payment_status is 'pending, paid or waived.';
comment on column public.classes.source is 'generated from the schedule, manual, makeup, rescheduled, or import.';
comment on column public.classes.slot_id is 'The weekly time it was made for; null where it was made by hand.';
comment on column public.classes.occurs_on is 'The date of that weekly time; stays when the class is moved.';
comment on column public.classes.rescheduled_from is 'The class it replaces: one that was moved here, or cancelled and made up for.';
comment on column public.classes.price is 'What the student owes for it, in the organisation''s currency, as it was when the class was made; null where nobody said.';
comment on column public.classes.teacher_pay is 'What the teacher gets for it, as it was when the class was made; null where nobody said.';
comment on column public.classes.cancelled_by is 'student, teacher or organisation.';
comment on column public.classes.is_charged is 'Whether the student owes for it. What cancellation_rules say, once it is cancelled.';
comment on column public.classes.is_teacher_paid is 'Whether the teacher is paid for it. What cancellation_rules say, once it is cancelled.';
comment on column public.classes.edited_at is 'When somebody last changed it; null for one that is as it was made, which generation may take away again.';

create table public.class_attendance (
  class_id uuid primary key references public.classes (id) on delete restrict,
  status text not null,
  minutes_late integer,
  note text,
  version integer not null default 1,
  recorded_by uuid references auth.users (id) on delete set null default private.caller_id(),
  recorded_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint status_is_known check (status in ('present', 'late', 'absent', 'excused')),
  constraint minutes_late_are_sensible check (minutes_late is null or minutes_late between 1 and 1440 and status = 'late'),
  constraint note_is_short check (length(note) <= 1000)
);
create index class_attendance_recorded_by on public.class_attendance (recorded_by);
comment on table public.class_attendance is 'Whether the student was there. Recording it makes the class completed or missed.';
comment on column public.class_attendance.status is 'present, late, absent or excused.';

create table public.cancellation_rules (
  cancelled_by text not null,
  notice_hours integer not null,
  is_charged boolean not null,
  is_teacher_paid boolean not null,
  version integer not null default 1,
  updated_at timestamptz not null default private.now(),
  primary key (cancelled_by, notice_hours),
  constraint cancelled_by_is_known check (cancelled_by in ('student', 'teacher', 'organisation')),
  constraint notice_is_within_a_month check (notice_hours between 0 and 744)
);
comment on table public.cancellation_rules is
  'What a cancelled class still costs and pays: the row with the longest notice_hours that was kept decides; without one it costs and pays nothing.';
comment on column public.cancellation_rules.cancelled_by is 'student, teacher or organisation.';
comment on column public.cancellation_rules.notice_hours is 'Holds for cancelling at least so many hours before the class starts; 0 also afterwards.';
comment on column public.cancellation_rules.is_charged is 'Whether the student owes for the class.';
comment on column public.cancellation_rules.is_teacher_paid is 'Whether the teacher is paid for it.';
