-- Generation: each run of it, what it did for whom, and up to where each student's classes were made.

create table public.class_generation_logs (
  id bigint generated always as identity primary key,
  student_id uuid references public.students (id) on delete cascade,
  operation text not null,
  trigger_time timestamptz not null default private.now(),
  status text not null,
  message text not null,
  classes_created integer not null default 0,
  classes_removed integer not null default 0,
  error_details jsonb not null default '{}',
  duration_ms numeric(12,3),
  run_id bigint not null,
  constraint operation_is_known check (operation in ('insert', 'update', 'scheduled', 'manual', 'backfill')),
  constraint status_is_known check (status in ('success', 'failed', 'skipped', 'partial')),
  constraint counts_are_not_below_zero check (classes_created >= 0 and classes_removed >= 0)
);
create index class_generation_logs_student on public.class_generation_logs (student_id, trigger_time);
create index class_generation_logs_time on public.class_generation_logs (trigger_time);
create index class_generation_logs_run on public.class_generation_logs (run_id);
comment on table public.class_generation_logs is 'What generation did: a row for each student whose classes it changed or left out, and one, without student, for each run.';
comment on column public.class_generation_logs.student_id is 'For whom; null in the row of the run itself.';
comment on column public.class_generation_logs.operation is
  'insert or update of the student (or of what their classes depend on), scheduled for everyone, manual, or backfill of what was missing.';
comment on column public.class_generation_logs.status is
  'success; partial, when classes were left out that ought to be (a teacher or student who is taken); skipped, when nothing was made; failed, when an error kept it from being done.';
comment on column public.class_generation_logs.error_details is
  '{"skipped": [{"date", "start_time", "reason", "detail"}, …], "count": n}: the dates left out (the first hundred) and why; {"code", "message"} after an error.';
comment on column public.class_generation_logs.duration_ms is 'How long the run took, in milliseconds; in the row of the run.';
comment on column public.class_generation_logs.run_id is 'The run, the same in all its rows.';

-- Apart from students, so that the weekly run edits none of them.
create table private.student_generation (
  student_id uuid primary key references public.students (id) on delete cascade,
  generated_through date not null
);
comment on table private.student_generation is 'The last date each student''s classes were generated for; a run that comes late starts from there.';

create sequence private.generation_run_ids as bigint;
comment on sequence private.generation_run_ids is 'Numbers the runs of generation.';

create table private.generation_runs (
  id bigint generated always as identity primary key,
  run_id bigint not null default nextval('private.generation_run_ids'),
  operation text not null,
  student_ids uuid[] not null,
  since_start boolean not null,
  syncs_slots boolean not null,
  through_date date not null,
  classes_created integer,
  classes_removed integer,
  started_at timestamptz not null default private.now()
);
comment on table private.generation_runs is 'Inserting a row generates the classes of these students: the one door to generation, for triggers, the weekly run and repairs alike.';
comment on column private.generation_runs.run_id is 'The run it is a part of: one that meets bad data goes on in smaller parts.';
comment on column private.generation_runs.since_start is 'Look for what is missing since each student''s start date, not only since the last run.';
comment on column private.generation_runs.syncs_slots is 'Make the weekly times what the schedules say, first.';
comment on column private.generation_runs.through_date is 'The last date to generate.';
