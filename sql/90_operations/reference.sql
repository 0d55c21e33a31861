-- Rows this module ships. admin holds every permission; nobody else repairs.
insert into public.permissions (name, module, description) values
  ('apply:fixes', '90_operations', 'Repair what diagnosis found.')
on conflict (name) do update set module = excluded.module, description = excluded.description
where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description);
