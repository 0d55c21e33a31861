-- What instructors are paid, and the periods it is paid in.

create table public.instructor_rates (
  id uuid primary key default gen_random_uuid(),
  instructor_id uuid not null references public.user_profiles (id) on delete restrict,
  class_type_id uuid references public.class_types (id) on delete restrict,
  payment_type text not null default 'per_class',
  rate numeric(12,2) not null,
  effective_from date not null default private.today(),
  effective_until date,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint payment_type_is_known check (
    payment_type in ('per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class')
  ),
  constraint rate_is_above_zero check (rate > 0 and rate <= 9999999999.99),
  constraint effective_ends_after_it_begins check (effective_from <= effective_until),
  constraint effective_is_between_1970_and_2200 check (effective_from >= date '1970-01-01' and effective_until <= date '2199-12-31'),
  constraint one_rate_at_a_time exclude using gist (
    instructor_id with =, coalesce(class_type_id, '00000000-0000-0000-0000-000000000000') with =, payment_type with =,
    daterange(effective_from, effective_until, '[]') with &&
  )
);
create index instructor_rates_class_type on public.instructor_rates (class_type_id);
create index instructor_rates_created_by on public.instructor_rates (created_by);
comment on table public.instructor_rates is 'What each instructor is paid from when until when, for one class type or for all that have no rate of their own.';
comment on column public.instructor_rates.class_type_id is 'The class type it is for; null is for all others.';
comment on column public.instructor_rates.payment_type is 'What the rate buys: per_class, monthly, per_member, total_duration, per_class_total or per_student_per_class; see calculate_payment().';
comment on column public.instructor_rates.rate is 'In the organisation''s currency.';
comment on column public.instructor_rates.effective_until is 'The last date it is in force; null is without end.';

create table public.pay_periods (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  starts_on date not null,
  ends_on date not null,
  status text not null default 'open',
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint pay_periods_one_name unique (name),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  constraint status_is_known check (status in ('open', 'closed')),
  constraint ends_after_it_starts check (starts_on <= ends_on),
  constraint is_between_1970_and_2200 check (starts_on >= date '1970-01-01' and ends_on <= date '2199-12-31'),
  constraint periods_do_not_overlap exclude using gist (daterange(starts_on, ends_on, '[]') with &&)
);
create index pay_periods_created_by on public.pay_periods (created_by);
comment on table public.pay_periods is 'Stretches of days instructors are paid for together; once closed, nothing that is paid for in them changes.';
comment on column public.pay_periods.ends_on is 'The last day of it.';
comment on column public.pay_periods.status is 'open or closed; follows from pay_period_events.';

create table public.pay_period_events (
  pay_period_id uuid not null references public.pay_periods (id) on delete restrict,
  event_no integer not null,
  kind text not null,
  reason text,
  recorded_by uuid,
  created_at timestamptz not null default private.now(),
  primary key (pay_period_id, event_no),
  constraint kind_is_known check (kind in ('closed', 'reopened')),
  constraint closing_and_reopening_take_turns check (event_no > 0 and (event_no % 2 = 1) = (kind = 'closed')),
  constraint reopening_says_why check (
    reason is not distinct from private.clean_text(reason) and length(coalesce(reason, '')) <= 1000 and (kind = 'closed' or reason is not null)
  )
);
comment on table public.pay_period_events is 'Who closed and reopened pay periods, when and why. Only ever added to.';
comment on column public.pay_period_events.event_no is 'Counts within the period; odd ones close it, even ones reopen it.';
comment on column public.pay_period_events.recorded_by is 'The login; null when a server did it.';
