-- Weekly templates. Each is the weekly rule with its id in 20_time, which follows it and cannot be written otherwise.

create table public.class_schedules (
  id uuid primary key default gen_random_uuid(),
  class_type_id uuid not null references public.class_types (id) on delete restrict,
  day_of_week smallint not null,
  start_time time not null,
  end_time time not null,
  time_zone text not null,
  instructor_id uuid references public.user_profiles (id) on delete restrict,
  location_id uuid references public.locations (id) on delete restrict,
  duration_minutes integer not null,
  max_participants integer,
  is_active boolean not null default true,
  effective_from date not null default private.today(),
  effective_until date,
  notes text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint day_of_week_is_sunday_0_to_saturday_6 check (day_of_week between 0 and 6),
  constraint start_is_before_end check (start_time < end_time),
  constraint duration_is_from_start_to_end check (duration_minutes * interval '1 minute' = end_time - start_time),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint somebody_can_take_part check (max_participants between 1 and 10000),
  constraint effective_ends_after_it_begins check (effective_from <= effective_until),
  constraint effective_is_between_1970_and_2200 check (effective_from >= date '1970-01-01' and effective_until <= date '2199-12-31'),
  constraint notes_are_short check (length(notes) <= 1000)
);
create index class_schedules_class_type on public.class_schedules (class_type_id);
create index class_schedules_instructor on public.class_schedules (instructor_id, day_of_week, start_time);
create index class_schedules_location on public.class_schedules (location_id);
create index class_schedules_created_by on public.class_schedules (created_by);
comment on table public.class_schedules is
  'Weekly templates of classes. While active it takes its instructor and room every week, in the ledger; dates are taken over by class_assignments.';
comment on column public.class_schedules.day_of_week is '0 Sunday to 6 Saturday.';
comment on column public.class_schedules.start_time is 'Wall-clock time in time_zone.';
comment on column public.class_schedules.end_time is 'On the same day, 24:00 is midnight; start_time and duration_minutes give it where it is missing.';
comment on column public.class_schedules.time_zone is 'IANA zone; the location''s, else the organisation''s, where none is given.';
comment on column public.class_schedules.instructor_id is 'Who teaches it; null while nobody was found.';
comment on column public.class_schedules.location_id is 'The room it takes; null where it needs none.';
comment on column public.class_schedules.duration_minutes is 'From start to end; within the settings class_minutes_min and class_minutes_max when it is written.';
comment on column public.class_schedules.max_participants is 'How many can take part in each of its classes; null is as the class type says.';
comment on column public.class_schedules.is_active is 'An inactive template takes no time and is not planned from.';
comment on column public.class_schedules.effective_from is 'The first date it holds for.';
comment on column public.class_schedules.effective_until is 'The last date it holds for; null is without end.';
