-- Rows of pay that this module ships.

with matrix (name, manager, instructor, staff, description) as (
  values ('manage:pay', true, false, false, 'Set rates, close and reopen pay periods, mark classes as paid.')
),
registered as (
  insert into public.permissions (name, module, description)
  select m.name, '40_studio', m.description from matrix m
  on conflict (name) do update set module = excluded.module, description = excluded.description
  where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description)
)
insert into public.role_permissions (role_name, permission)
select h.role_name, m.name
from matrix m
cross join lateral (values ('manager', m.manager), ('instructor', m.instructor), ('staff', m.staff)) as h (role_name, holds)
where h.holds
on conflict (role_name, permission) do nothing;

insert into public.integrity_checks (name, module, category, severity, description, fix_description) values
  ('amounts_differ', '40_studio', 'integrity', 'warning', 'Classes whose amount differs from its last calculation by more than a cent.',
    'Sets the amount to what was calculated, where the pay period is open and the pay pending.'),
  ('paid_but_cancelled', '40_studio', 'integrity', 'info', 'Classes that were paid for and then cancelled.', null),
  ('pay_periods_differ', '40_studio', 'integrity', 'error', 'Pay periods that are not what was last recorded of them.',
    'Takes the status from the last event.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;

-- Where pay keeps what belongs to a person.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.instructor_rates', 'instructor_id', 'profile_id', '40_studio',
    '{id,class_type_id,payment_type,rate,effective_from,effective_until}', 'keep', '{}', 'What was agreed belongs to the books; it names an id only.'),
  ('public.instructor_rates', 'created_by', 'user_id', '40_studio', '{id,created_at}', 'keep', '{}', 'The rate is the organisation''s.'),
  ('public.pay_periods', 'created_by', 'user_id', '40_studio', '{id,name,created_at}', 'keep', '{}', 'The pay period is the organisation''s.'),
  ('public.pay_period_events', 'recorded_by', 'user_id', '40_studio', '{pay_period_id,event_no,kind,created_at}', 'keep', '{}',
    'Who closed and reopened a pay period stays known; it names an id only.'),
  ('public.payment_calculations', 'calculated_by', 'user_id', '40_studio', '{id,assignment_id,calculated_at}', 'keep', '{}',
    'Who worked out an amount stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
