-- One repair: looks, mends, looks again. A dry run does the same and takes it back, so that what it says is what would happen.
create function private.mend_check(p_check public.integrity_checks, p_dry_run boolean, p_run_id bigint, p_entity_ids text[]) returns table (
  check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint, fixable integer, changes jsonb, failure text
)
-- How a row is written as JSON depends on the session.
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
as $$
declare
  v_ids text[];
  v_left text[];
  v_fix_id bigint;
  v_changed integer := 0;
  v_sqlstate text;
begin
  check_name := p_check.name;
  description := p_check.fix_description;
  begin
    execute format($sql$
      select array_agg(distinct f.entity_id) from private.%I() f
      where ($1 is null or f.entity_id = any($1))
        and ($2 is null or exists (
          select
          from public.check_results r
          join public.findings o on o.check_name = r.check_name
            and o.first_result_id <= r.id and (o.last_result_id is null or o.last_result_id >= r.id)
          where r.run_id = $2 and r.check_name = $3 and r.failure is null and o.entity = f.entity and o.entity_id = f.entity_id
        ))
    $sql$, 'check_' || p_check.name) into v_ids using p_entity_ids, p_run_id, p_check.name;
    if v_ids is null then
      return;
    end if;
    faults := cardinality(v_ids);
    v_fix_id := private.open_fix(p_check.name, faults);
    execute format('select private.%I($1)', 'fix_' || p_check.name) using v_ids;
    if p_dry_run then
      -- What is checked at the end of a transaction would be refused there.
      set constraints all immediate;
    end if;
    execute format('select coalesce(array_agg(distinct f.entity_id), ''{}'') from private.%I() f where f.entity_id = any($1)', 'check_' || p_check.name)
    into v_left using v_ids;
    remaining := cardinality(v_left);
    fixed := faults - remaining;
    v_changed := private.close_fix(v_fix_id);
    changes := (
      select jsonb_agg(jsonb_build_object('table', c.table_name, 'added', c.added, 'changed', c.changed, 'removed', c.removed) order by c.table_name)
      from (
        select c.table_name, count(*) filter (where c.before is null) as added, count(*) filter (where c.before is not null and c.after is not null) as changed,
          count(*) filter (where c.after is null) as removed
        from private.fix_changes c where c.fix_id = v_fix_id group by c.table_name
      ) c
    );
    if p_dry_run then
      fixable := fixed;
      raise exception 'taken back' using errcode = 'CBDRY';
    end if;
    update public.fix_runs r set fixed = mend_check.fixed, remaining = mend_check.remaining, changed_rows = v_changed where r.id = v_fix_id;
    update public.findings f
    set resolved_at = private.now(), last_seen_at = private.now(), fix_id = v_fix_id, last_result_id = (
      select coalesce(max(r.id), f.first_result_id) from public.check_results r where r.check_name = p_check.name
    )
    where f.check_name = p_check.name and f.resolved_at is null and f.entity_id = any(v_ids) and f.entity_id <> all(v_left);
  exception
    when sqlstate 'CBDRY' then
      fixed := 0;
      remaining := faults;
      v_changed := 0;
    when data_exception or integrity_constraint_violation or cardinality_violation or syntax_error_or_access_rule_violation
      or object_not_in_prerequisite_state or program_limit_exceeded or feature_not_supported or insufficient_resources
      or invalid_transaction_state or plpgsql_error or internal_error or external_routine_exception or system_error or sqlstate 'PGRST' then
    get stacked diagnostics failure = message_text, v_sqlstate = returned_sqlstate;
    failure := private.error_sentence(failure, v_sqlstate);
    faults := coalesce(faults, 0);
    fixed := 0;
    remaining := faults;
    v_changed := 0;
    changes := null;
  end;
  fix_id := case when v_changed > 0 then v_fix_id end;
  fixable := coalesce(fixable, fixed);
  changes := coalesce(changes, '[]');
  return next;
end;
$$;
comment on function private.mend_check(public.integrity_checks, boolean, bigint, text[]) is
  'Mends what one check finds, in a subtransaction: all of it, or what a run found, or these entities. No row where there is nothing to mend; where the repair failed, why.';

create function private.mend_faults(p_checks text[], p_modules text[], p_dry_run boolean, p_run_id bigint, p_entity_ids text[]) returns table (
  check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint, fixable integer, changes jsonb, failure text
)
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_check public.integrity_checks;
begin
  perform private.require_permission('apply:fixes');
  perform private.require_read_committed();
  perform private.wait_for_diagnosis();
  if p_run_id is not null and not exists (select from public.diagnostic_runs r where r.id = p_run_id) then
    perform private.fail('not_found', format('There is no run %s', p_run_id), 'p_run_id');
  end if;
  -- Rows before the schema, since a key that was lost comes back only once what it forbids is gone; and later modules
  -- before those they stand on, since what a row takes in the ledger can be put back only once the row is right.
  for v_check in
    select c.*
    from private.chosen_checks(p_checks, p_modules) c
    where c.fix_description is not null
    order by c.category = 'schema', c.module desc, array_position(array['critical', 'error', 'warning', 'info'], c.severity), c.name
  loop
    return query select m.* from private.mend_check(v_check, p_dry_run, p_run_id, p_entity_ids) m;
  end loop;
end;
$$;
comment on function private.mend_faults(text[], text[], boolean, bigint, text[]) is
  'Runs the repairs of checks that find something, for a holder of apply:fixes, keeps images of every row that changes, and checks again.';

create function public.apply_fixes(
  p_checks text[] default null,
  p_modules text[] default null,
  p_dry_run boolean default false,
  p_idempotency_key text default null,
  p_run_id bigint default null,
  p_entity_ids text[] default null
) returns table (
  check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint, fixable integer, changes jsonb, failure text
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('checks', p_checks, 'modules', p_modules, 'dry_run', p_dry_run, 'run_id', p_run_id, 'entity_ids', p_entity_ids);
  v_answer jsonb := private.answered_before('apply_fixes', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := (
      select coalesce(jsonb_agg(to_jsonb(m)), '[]')
      from private.mend_faults(p_checks, p_modules, coalesce(p_dry_run, false), p_run_id, p_entity_ids) m
    );
    perform private.remember_answer('apply_fixes', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.check_name, a.faults, a.fixed, a.remaining, a.description, a.fix_id, a.fixable, a.changes, a.failure
    from jsonb_to_recordset(v_answer) as a(
      check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint, fixable integer, changes jsonb, failure text
    );
end;
$$;
comment on function public.apply_fixes(text[], text[], boolean, text, bigint, text[]) is
  'Mends what the checks of these names and modules (all by default) find and can mend, and checks again: one row a check with how many entities were at fault, were fixed and remain, how many rows of which tables were added, changed and removed (changes), the fix_id undo_fix() takes (null where no row changed), and why a repair failed, which leaves nothing of that check''s behind. p_run_id mends only what that run found and is still so, p_entity_ids only these. p_dry_run does all of it and takes it back: nothing is fixed, and fixable and changes say what would be. Needs apply:fixes. Raises not_found for an unknown check, module or run.';
