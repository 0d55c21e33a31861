-- The functions that people and servers ask; running a check and keeping what it finds is in rules/50_findings.sql.

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

create function private.find_faults(p_checks text[], p_modules text[], p_since timestamptz, p_run_id bigint) returns table (
  check_name text, module text, category text, severity text, entity text, entity_id text, message text, detail jsonb, can_be_fixed boolean,
  run_id bigint, first_seen_at timestamptz
)
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_run_id bigint := p_run_id;
  v_check public.integrity_checks;
begin
  perform private.require_permission('read:diagnostics');
  perform private.require_read_committed();
  perform private.wait_for_diagnosis();
  if p_run_id is not null and not exists (select from public.diagnostic_runs r where r.id = p_run_id) then
    perform private.fail('not_found', format('There is no run %s', p_run_id), 'p_run_id');
  end if;
  for v_check in select c.* from private.chosen_checks(p_checks, p_modules) c loop
    if v_run_id is null then
      insert into public.diagnostic_runs default values returning id into v_run_id;
    end if;
    return query select f.* from private.run_check(v_run_id, v_check, p_since) f;
  end loop;
end;
$$;
comment on function private.find_faults(text[], text[], timestamptz, bigint) is 'Runs checks for a holder of read:diagnostics, and keeps what they find.';

create function public.run_diagnostics(
  p_checks text[] default null,
  p_modules text[] default null,
  p_since timestamptz default null,
  p_run_id bigint default null
) returns table (
  check_name text, module text, category text, severity text, entity text, entity_id text, message text, detail jsonb, can_be_fixed boolean,
  run_id bigint, first_seen_at timestamptz
)
language sql volatile set search_path = ''
begin atomic
  select * from private.find_faults(p_checks, p_modules, p_since, p_run_id);
end;
comment on function public.run_diagnostics(text[], text[], timestamptz, bigint) is
  'Runs the integrity checks of these names and modules (all by default), keeps what they find, and returns one row a finding, gravest first, with when it was first seen; no rows is good news. p_since leaves out what was seen before; p_run_id goes on with a run, so that checks asked for one by one are one run. A check that cannot be run is a critical finding about integrity_checks. Needs read:diagnostics. Raises not_found for an unknown check, module or run.';
