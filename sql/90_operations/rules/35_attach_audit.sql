-- Which tables are audited, and how: all of public, but for these.

do $$
declare
  v_table record;
begin
  for v_table in
    select to_regclass(format('public.%I', t.name)) as name, t.reason
    from (values
      ('audit_log', 'It is the audit trail.'),
      ('changes', 'It is a record itself, only ever added to, of what other tables are audited for.'),
      ('access_changes', 'It is a record itself, only ever added to.'),
      ('claims', 'Derived from what claims time, which is audited.'),
      ('resource_horizons', 'Derived: how far weekly rules have been claimed.'),
      ('student_schedule_slots', 'Derived from students.fixed_schedule, which is audited, and kept when it changes.'),
      ('class_generation_logs', 'It is a record itself.'),
      ('outbox', 'It is a record itself: what was sent, when, and what went wrong.'),
      ('outbox_providers', 'Counts failures, which nobody decides.'),
      ('notifications', 'It is a record itself: what people were told.'),
      ('fix_runs', 'It is a record itself; what repairs change is audited.'),
      ('alerts', 'It is a record itself, and says who acknowledged and resolved.'),
      ('job_runs', 'It is a record itself.'),
      ('diagnostic_runs', 'It is a record itself.'),
      ('findings', 'It is a record itself.'),
      ('session_seats', 'Derived from bookings and holds, which say whose seats they are.'),
      ('session_holds', 'It is over in minutes, and what came of it is a booking, which is audited.')
    ) as t (name, reason)
    where to_regclass(format('public.%I', t.name)) is not null
  loop
    perform private.leave_unaudited(v_table.name, v_table.reason);
  end loop;
  -- The hash of a secret is of no use to anybody who asks what happened.
  perform private.attach_audit('public.calendar_feeds', p_left_out => '{token_hash}');
  -- What generation makes is in class_generation_logs, and what became of it since is here.
  perform private.attach_audit('public.classes', p_insert_condition => $condition$source <> 'generated'$condition$);
  perform private.attach_audit(t.t) from private.tables_without_audit() as t(t);
end;
$$;
