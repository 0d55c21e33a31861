insert into public.integrity_checks (name, module, category, severity, description, fix_description, looks_at) values
  ('series_missing_sessions', '60_training', 'integrity', 'warning', 'Series that promise sessions that are not there.',
    'Makes them, where instructor and place are free.', 'public.session_series'),
  ('registers_differ', '60_training', 'integrity', 'error', 'Bookings that became something else than the register says.',
    'Makes them what the register says.', 'public.session_bookings'),
  -- Whether a certificate or the register is wrong is for a person to say: revoking cannot be taken back.
  ('certificates_without_attendance', '60_training', 'integrity', 'critical', 'Valid certificates without the attendance they certify.', null, 'public.certificates')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description, looks_at = excluded.looks_at;
