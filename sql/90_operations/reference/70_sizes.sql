-- Rows this module ships.
insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('take_size_reading', '90_operations', '50 3 * * *', 'private.take_size_reading', 'Writes down how large each table is, so that growth is known.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description;
