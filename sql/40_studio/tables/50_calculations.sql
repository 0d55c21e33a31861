-- How amounts came about.

create table public.payment_calculations (
  id bigint generated always as identity primary key,
  assignment_id uuid not null,
  method text not null,
  original_amount numeric(12,2) not null,
  calculated_amount numeric(12,2) not null,
  difference numeric(13,2) generated always as (calculated_amount - original_amount) stored,
  inputs jsonb not null,
  calculated_by uuid,
  calculated_at timestamptz not null default private.now(),
  constraint method_is_known check (
    method in ('per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class')
  ),
  constraint inputs_are_an_object check (jsonb_typeof(inputs) = 'object')
);
create index payment_calculations_assignment on public.payment_calculations (assignment_id, id);
comment on table public.payment_calculations is 'Every calculation that set a class''s amount: from what, by whom, when. Only ever added to; kept when the class is gone.';
comment on column public.payment_calculations.assignment_id is 'The class; no foreign key, so that it stays known.';
comment on column public.payment_calculations.method is 'The payment type it was worked out by.';
comment on column public.payment_calculations.original_amount is 'What the class was paid before.';
comment on column public.payment_calculations.calculated_amount is 'What the calculation says, this class''s part of it.';
comment on column public.payment_calculations.difference is 'Calculated less original.';
comment on column public.payment_calculations.inputs is 'rate, class_count, student_count, minutes, months, total, and position in the split.';
comment on column public.payment_calculations.calculated_by is 'The login; null when a server did it.';
