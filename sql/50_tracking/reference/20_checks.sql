insert into public.integrity_checks (name, module, category, severity, description, fix_description) values
  ('students_missing_classes', '50_tracking', 'integrity', 'warning', 'Students who were promised classes that are not there.',
    'Makes them, where student and teacher are free.'),
  ('students_invalid', '50_tracking', 'integrity', 'error', 'Students whose data no class can be made from, or not the right ones.',
    'Makes the weekly times what the schedule says, where it can be read.'),
  ('classes_duplicated', '50_tracking', 'integrity', 'error', 'Classes that are there twice.',
    'Removes all but the oldest, which gets their attendance, payments and links, and puts lost keys back.'),
  ('class_keys_missing', '50_tracking', 'schema', 'critical', 'Keys of classes that are gone, so that one could be there twice.',
    'Puts them back, where no duplicate is in the way.'),
  ('classes_promised_no_more', '50_tracking', 'integrity', 'warning', 'Classes to come that nobody touched and no schedule promises.',
    'Takes them away.'),
  ('student_class_instants_differ', '50_tracking', 'integrity', 'error', 'Students'' classes whose instants are not those of their wall-clock time.',
    'Works them out again, where student and teacher are free then.'),
  ('student_classes_past_but_scheduled', '50_tracking', 'integrity', 'warning', 'Students'' classes that were over two days ago and are still scheduled.',
    'Completes them.'),
  ('generation_late', '50_tracking', 'integrity', 'error', 'The weekly run of generation was missed.', 'Does what it would have done.'),
  ('attendance_differs', '50_tracking', 'integrity', 'error', 'Classes that became something else than their attendance says.',
    'Makes them what attendance says, unless another class stands for them.'),
  ('students_in_two_classes', '50_tracking', 'integrity', 'critical', 'Students who are in two classes at once.', null),
  ('class_payments_differ', '50_tracking', 'integrity', 'warning', 'Classes whose payment status is not what payments say.',
    'Makes them paid or pending, as the books say.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;
