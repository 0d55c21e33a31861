create function private.mend_faults(p_checks text[], p_modules text[], p_dry_run boolean) returns table (
  check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint
)
-- How a row is written as JSON depends on the session.
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
as $$
declare
  v_check public.integrity_checks;
  v_ids text[];
  v_changed integer;
begin
  perform private.require_permission('apply:fixes');
  for v_check in
    select c.* from private.chosen_checks(p_checks, p_modules) c where c.fix_description is not null
  loop
    execute format('select array_agg(distinct f.entity_id) from private.%I() f', 'check_' || v_check.name) into v_ids;
    continue when v_ids is null;
    check_name := v_check.name;
    description := v_check.fix_description;
    faults := cardinality(v_ids);
    remaining := faults;
    fix_id := null;
    if not p_dry_run then
      fix_id := private.open_fix(v_check.name, faults);
      execute format('select private.%I($1)', 'fix_' || v_check.name) using v_ids;
      execute format('select count(distinct f.entity_id) from private.%I() f where f.entity_id = any($1)', 'check_' || v_check.name)
      into remaining using v_ids;
      v_changed := private.close_fix(fix_id);
      update public.fix_runs r set fixed = mend_faults.faults - mend_faults.remaining, remaining = mend_faults.remaining, changed_rows = v_changed
      where r.id = mend_faults.fix_id;
      if v_changed = 0 then
        fix_id := null;
      end if;
    end if;
    fixed := faults - remaining;
    return next;
  end loop;
end;
$$;
comment on function private.mend_faults(text[], text[], boolean) is 'Runs the repairs of checks that find something, for a holder of apply:fixes, keeps images of every row that changes, and checks again.';

create function public.apply_fixes(
  p_checks text[] default null,
  p_modules text[] default null,
  p_dry_run boolean default false,
  p_idempotency_key text default null
) returns table (check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('checks', p_checks, 'modules', p_modules, 'dry_run', p_dry_run);
  v_answer jsonb := private.answered_before('apply_fixes', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := (select coalesce(jsonb_agg(to_jsonb(m)), '[]') from private.mend_faults(p_checks, p_modules, p_dry_run) m);
    perform private.remember_answer('apply_fixes', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.check_name, a.faults, a.fixed, a.remaining, a.description, a.fix_id
    from jsonb_to_recordset(v_answer)
      as a(check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint);
end;
$$;
comment on function public.apply_fixes(text[], text[], boolean, text) is
  'Mends what the checks of these names and modules (all by default) find and can mend, in one transaction, and checks again: one row a check with how many rows were at fault, were fixed and remain, and the fix_id undo_fix() takes (null where no row changed). p_dry_run only says what would be done. Needs apply:fixes. Raises not_found for an unknown check or module.';
