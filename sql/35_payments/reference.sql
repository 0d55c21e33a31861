-- Rows this module ships.

with matrix (name, manager, instructor, staff, description) as (
  values
    ('read:payments',  true, false, true,  'See everyone''s payments, refunds, packages bought and amounts outstanding.'),
    ('record:payment', true, false, true,  'Record payments; sell, pause and resume packages.'),
    ('refund:payment', true, false, false, 'Give money back, and end packages that were bought.')
),
registered as (
  insert into public.permissions (name, module, description)
  select m.name, '35_payments', m.description from matrix m
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
  ('package_credits_differ', '35_payments', 'integrity', 'error',
    'Packages whose balances, status or last day are not what their entries add up to.', 'Works them out again, where no entry is missing.'),
  ('credits_used_wrongly', '35_payments', 'integrity', 'error',
    'Credits used outside their package''s dates, during a pause, or twice for one thing.', null),
  ('payments_over_refunded', '35_payments', 'integrity', 'critical', 'Payments of which more was given back than came in.', null),
  ('payment_items_over_amount', '35_payments', 'integrity', 'critical', 'Payments and refunds whose lines are more than the whole.', null),
  ('payments_for_nothing', '35_payments', 'integrity', 'error', 'Payments for rows that are gone.', null)
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;

-- Where this module keeps what belongs to a person.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.payments', 'payer_id', 'profile_id', '35_payments', '{id,amount,currency,method,provider,received_at,status,note}', 'keep', '{}',
    'The books stay whole, as the law asks; they name an id, and what was noted at the till.'),
  ('public.payments', 'recorded_by', 'user_id', '35_payments', '{id,created_at}', 'keep', '{}', 'Who recorded a payment stays known; it names an id only.'),
  ('public.refunds', 'recorded_by', 'user_id', '35_payments', '{id,created_at}', 'keep', '{}', 'Who gave money back stays known; it names an id only.'),
  ('public.package_purchases', 'profile_id', 'profile_id', '35_payments', '{id,package_id,credits,price,purchased_on,expires_on,status}', 'keep', '{}',
    'What was sold belongs to the books; it names an id only.'),
  ('public.package_purchases', 'created_by', 'user_id', '35_payments', '{id,created_at}', 'keep', '{}', 'The sale is the organisation''s.'),
  ('public.credit_entries', 'recorded_by', 'user_id', '35_payments', '{purchase_id,entry_no,kind,created_at}', 'keep', '{}',
    'What became of credits stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
