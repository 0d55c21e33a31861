-- 30_catalog: what the organisation offers.
--
-- `class_types` are what is taught, `packages` what customers buy (so many classes, to be taken within so many days),
-- `courses` the one catalogue of everything with a beginning and an end: tutoring, training, academic courses. What a
-- course requires stands in `course_prerequisites`: any one course of a group is enough, and every group has to be met.
--
-- The life of an entry: somebody who holds `manage:catalog` writes it; it is offered for as long as it is active; then
-- it is switched off, not deleted, because bookings, purchases and certificates refer to it. The public sees what is
-- active, people who signed in see the rest as well, since what they bought may no longer be sold.
--
-- Promises: durations lie within the settings when they are written; prices are exact and never negative; a course
-- never requires itself, not over any number of others, and not when two people each add one half of the circle.
--
-- Lock order: whoever changes prerequisites first takes the one lock for all of them, see rules/20_prerequisites.sql.

create table public.class_types (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  description text,
  difficulty_level text not null default 'beginner',
  duration_minutes integer not null default private.setting_integer('class_minutes_default'),
  max_participants integer not null default 10,
  is_active boolean not null default true,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  constraint description_is_short check (length(description) <= 1000),
  constraint difficulty_level_is_known check (difficulty_level in ('beginner', 'intermediate', 'advanced')),
  constraint duration_is_part_of_a_day check (duration_minutes between 1 and 1440),
  constraint somebody_can_take_part check (max_participants between 1 and 10000)
);
create unique index class_types_one_name on public.class_types (lower(name));
create index class_types_created_by on public.class_types (created_by);
comment on table public.class_types is 'What is taught in classes: yoga for beginners, salsa, pottery.';
comment on column public.class_types.difficulty_level is 'beginner, intermediate or advanced.';
comment on column public.class_types.duration_minutes is
  'How long such a class usually lasts; within the settings class_minutes_min and class_minutes_max when it is written.';
comment on column public.class_types.max_participants is 'How many can take part in one class.';
comment on column public.class_types.is_active is 'False for what is no longer offered.';

create table public.packages (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  description text,
  price numeric(12,2) not null default 0,
  class_count integer not null,
  validity_days integer not null default 30,
  duration text,
  course_type text not null default 'regular',
  type text,
  is_active boolean not null default true,
  late_cancel_hours integer not null default 24,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  -- NaN counts as larger than any number, so the upper bound keeps it out.
  constraint price_is_an_amount check (price between 0 and 9999999999.99),
  constraint class_count_is_sensible check (class_count between 1 and 1000),
  constraint validity_is_at_most_ten_years check (validity_days between 1 and 3660),
  constraint course_type_is_known check (course_type in ('regular', 'crash')),
  constraint late_cancel_is_within_a_month check (late_cancel_hours between 0 and 744),
  constraint texts_are_short check (length(description) <= 1000 and length(duration) <= 100 and length(type) <= 100)
);
create index packages_name on public.packages (name);
create index packages_created_by on public.packages (created_by);
comment on table public.packages is 'What customers buy: so many classes, to be taken within so many days.';
comment on column public.packages.price is 'What it costs, in the organisation''s currency.';
comment on column public.packages.class_count is 'How many classes it is good for.';
comment on column public.packages.validity_days is 'For how many days after the purchase.';
comment on column public.packages.duration is 'How long that is in words, such as "3 months"; shown, never computed with.';
comment on column public.packages.course_type is 'regular, or crash for classes day after day.';
comment on column public.packages.type is 'The organisation''s own word for the kind of package.';
comment on column public.packages.is_active is 'False for what is no longer sold.';
comment on column public.packages.late_cancel_hours is
  'Cancelling fewer hours than this before a class starts costs the credit; 0 always gives it back until then.';

create table public.courses (
  id uuid primary key default gen_random_uuid(),
  code text not null,
  title text not null,
  description text,
  subject text,
  kind text not null default 'training',
  duration_minutes integer,
  default_capacity integer,
  credits numeric(5,2),
  price numeric(12,2) not null default 0,
  certificate_validity_days integer,
  is_active boolean not null default true,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  is_repeatable boolean not null default true,
  constraint code_is_given check (code is not distinct from private.clean_text(code) and length(code) <= 50),
  constraint title_is_given check (title is not distinct from private.clean_text(title) and length(title) <= 200),
  constraint kind_is_known check (kind in ('tutoring', 'training', 'academic')),
  constraint duration_is_at_most_31_days check (duration_minutes between 1 and 44640),
  constraint capacity_is_sensible check (default_capacity between 1 and 10000),
  constraint credits_are_not_negative check (credits between 0 and 999.99),
  constraint price_is_an_amount check (price between 0 and 9999999999.99),
  constraint certificates_are_valid_for_a_while check (certificate_validity_days between 1 and 36600),
  constraint texts_are_short check (length(description) <= 1000 and length(subject) <= 200)
);
create unique index courses_one_code on public.courses (lower(code));
create index courses_created_by on public.courses (created_by);
comment on table public.courses is 'Everything offered with a beginning and an end: tutoring, training and academic courses.';
comment on column public.courses.code is 'The organisation''s own short name for it, such as MATH 101; unique whatever the case.';
comment on column public.courses.kind is 'tutoring, training or academic.';
comment on column public.courses.duration_minutes is 'How long one session of it takes; null when that differs.';
comment on column public.courses.default_capacity is 'How many can take part unless its session says otherwise; null when nobody decided.';
comment on column public.courses.credits is 'Academic credits; null where there are none.';
comment on column public.courses.price is 'What taking part costs, in the organisation''s currency.';
comment on column public.courses.certificate_validity_days is 'For how many days its certificate is valid; null is for good.';
comment on column public.courses.is_repeatable is 'False for what nobody takes twice.';
comment on column public.courses.is_active is 'False for what is no longer offered.';

create table public.course_prerequisites (
  course_id uuid not null references public.courses (id) on delete cascade,
  "group" smallint not null default 1,
  required_course_id uuid not null references public.courses (id) on delete restrict,
  primary key (course_id, "group", required_course_id),
  constraint course_does_not_require_itself check (course_id <> required_course_id),
  constraint group_is_counted_from_one check ("group" between 1 and 100)
);
create index course_prerequisites_required_course on public.course_prerequisites (required_course_id);
comment on table public.course_prerequisites is 'What has to be passed before a course: any one course of each group, and all groups.';
comment on column public.course_prerequisites.course_id is 'The course that requires something.';
comment on column public.course_prerequisites."group" is 'Rows of one course with the same number are alternatives: one of them is enough.';
comment on column public.course_prerequisites.required_course_id is 'What has been passed by whoever takes the course.';
