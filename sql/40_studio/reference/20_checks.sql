-- The checks of bookings, schedules and classes; those of pay are with pay.

insert into public.integrity_checks (name, module, category, severity, description, fix_description) values
  ('bookings_confirmed_by_nothing', '40_studio', 'integrity', 'error', 'Confirmed bookings that no class serves.', 'Makes them pending again.'),
  ('bookings_pending_but_served', '40_studio', 'integrity', 'error', 'Pending bookings that a class serves.', 'Confirms them.'),
  ('links_to_nothing', '40_studio', 'integrity', 'error', 'Classes linked to bookings that there are not, or the reverse.', 'Removes the links.'),
  ('classes_past_but_scheduled', '40_studio', 'integrity', 'warning', 'Classes of past days that are still scheduled.',
    'Completes those their instructor accepted, outside closed pay periods.'),
  ('schedules_of_people_who_left', '40_studio', 'integrity', 'warning', 'Weekly templates whose instructor left.',
    'Takes the instructor off, so that they show as needing somebody.'),
  ('schedules_differ', '40_studio', 'integrity', 'critical', 'Class schedules whose weekly rule in the ledger is not what they say.',
    'Makes the weekly rules what the schedules say, where nobody else has the time.'),
  ('classes_overlapping', '40_studio', 'integrity', 'critical', 'Classes that take one instructor or one room at once.', null),
  ('classes_overfull', '40_studio', 'integrity', 'error', 'Classes to come that serve more bookings than they have room for.', null),
  ('classes_archived_and_live', '40_studio', 'integrity', 'error', 'Classes that were archived and are still live.',
    'Finishes the move, where the two are alike.'),
  ('class_instants_differ', '40_studio', 'integrity', 'error', 'Classes whose instants are not those of their wall-clock time.',
    'Works them out again, where nobody else has the time.'),
  ('dates_taken_for_nothing', '40_studio', 'integrity', 'error', 'Dates of schedules taken over by a class that does not stand for them.',
    'Gives them back to the schedule; those that are over or were called off stay cancelled.'),
  ('dates_not_taken_over', '40_studio', 'integrity', 'critical', 'Classes made from a schedule that did not take its date over.',
    'Takes the dates over, where no other class has them.'),
  ('links_without_credit', '40_studio', 'integrity', 'warning', 'Classes that serve a booking which uses credits, without using one.',
    'Uses a credit, where the customer has one that is good on the day.'),
  ('credits_used_for_nothing', '40_studio', 'integrity', 'error', 'Credits used for classes that are cancelled or no longer serve the customer.',
    'Gives them back.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;
