-- 90_operations: know and mend. Modules register checks (public.integrity_checks) with a function
-- private.check_<name>() that finds, and where the repair is clear private.fix_<name>(text[]) that mends; the functions
-- here run them.

create function private.chosen_checks(p_checks text[], p_modules text[]) returns setof public.integrity_checks
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_unknown text := (
    select string_agg(u.name, ', ') from unnest(p_checks) as u(name)
    where not exists (select from public.integrity_checks c where c.name = u.name)
  );
begin
  if v_unknown is not null then
    perform private.fail('not_found', format('There is no check called %s', v_unknown), 'p_checks');
  end if;
  v_unknown := (
    select string_agg(u.name, ', ') from unnest(p_modules) as u(name)
    where not exists (select from public.integrity_checks c where c.module = u.name or substr(c.module, 4) = u.name)
  );
  if v_unknown is not null then
    perform private.fail('not_found', format('No module called %s has checks', v_unknown), 'p_modules');
  end if;
  return query
    select c.*
    from public.integrity_checks c
    where (c.is_active or c.name = any(p_checks))
      and (p_checks is null or c.name = any(p_checks))
      and (p_modules is null or c.module = any(p_modules) or substr(c.module, 4) = any(p_modules))
    order by array_position(array['critical', 'error', 'warning', 'info'], c.severity), c.module, c.name;
end;
$$;
comment on function private.chosen_checks(text[], text[]) is 'The checks of these names and modules (with or without their number), or all that are active.';

create function private.find_faults(p_checks text[], p_modules text[]) returns table (
  check_name text, module text, category text, severity text, entity text, entity_id text, message text, detail jsonb, can_be_fixed boolean
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_check public.integrity_checks;
begin
  perform private.require_permission('read:diagnostics');
  for v_check in select c.* from private.chosen_checks(p_checks, p_modules) c loop
    return query execute format(
      'select $1, $2, $3, $4, f.entity, f.entity_id, f.message, f.detail, $5 from private.%I() f order by f.entity, f.entity_id, f.message',
      'check_' || v_check.name)
    using v_check.name, v_check.module, v_check.category, v_check.severity, v_check.fix_description is not null;
  end loop;
end;
$$;
comment on function private.find_faults(text[], text[]) is 'Runs checks for a holder of read:diagnostics.';

create function public.run_diagnostics(p_checks text[] default null, p_modules text[] default null) returns table (
  check_name text, module text, category text, severity text, entity text, entity_id text, message text, detail jsonb, can_be_fixed boolean
)
language sql stable set search_path = ''
begin atomic
  select * from private.find_faults(p_checks, p_modules);
end;
comment on function public.run_diagnostics(text[], text[]) is
  'Runs the integrity checks of these names and modules (all by default) and returns one row a finding, gravest first; no rows is good news. Needs read:diagnostics. Raises not_found for an unknown check or module.';
