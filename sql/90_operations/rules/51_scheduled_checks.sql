-- The scheduled run: every active check, repairs that may happen by themselves, and alerts for what is left.

create function private.settle_check_alert(p_check public.integrity_checks, p_result_id bigint, p_gave_up boolean) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_result public.check_results;
  v_severity text;
  v_ranks constant text[] := array['critical', 'error', 'warning', 'info'];
begin
  select r.* into v_result from public.check_results r where r.id = p_result_id;
  v_severity := case when v_result.failure is not null or (p_gave_up and p_check.fallback = 'escalate') then 'critical' else p_check.severity end;
  if v_result.found = 0 then
    perform private.clear_alert('finding', p_check.name);
  elsif p_check.alert_from is not null and (p_gave_up or array_position(v_ranks, v_severity) <= array_position(v_ranks, p_check.alert_from)) then
    perform private.raise_alert('finding', p_check.name, v_severity,
      case when v_result.failure is not null then format('The check %s could not be run: %s', p_check.name, v_result.failure)
        else format('%s %s found%s', v_result.found, p_check.name, case when p_gave_up then ', and repairing them by themselves was given up' else '' end) end,
      jsonb_build_object('run_id', v_result.run_id, 'found', v_result.found, 'appeared', v_result.appeared, 'description', p_check.description,
        'can_be_fixed', p_check.fix_description is not null, 'gave_up', p_gave_up, 'notify_role', p_check.notify_role,
        -- A few by id only: who may read an alert need not be who may read the rows.
        'examples', (
          select coalesce(jsonb_agg(jsonb_build_object('entity', f.entity, 'entity_id', f.entity_id)), '[]')
          from (
            select o.entity, o.entity_id from public.findings o
            where o.check_name = p_check.name and o.resolved_at is null order by o.first_seen_at, o.id limit 5
          ) f
        )));
  else
    perform private.clear_alert('finding', p_check.name);
  end if;
end;
$$;
comment on function private.settle_check_alert(public.integrity_checks, bigint, boolean) is
  'Raises or clears the alert of a check, as its policy and its last result say.';

create function private.run_scheduled_checks() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_run_id bigint;
  v_check public.integrity_checks;
  v_found bigint;
  v_total bigint := 0;
  v_tries integer;
  v_gave_up boolean;
begin
  perform private.wait_for_diagnosis();
  insert into public.diagnostic_runs default values returning id into v_run_id;
  for v_check in select c.* from private.chosen_checks(null, null) c loop
    v_gave_up := false;
    select count(*) into v_found from private.run_check(v_run_id, v_check, null);
    v_tries := coalesce((select t.tries from private.auto_fix_tries t where t.check_name = v_check.name), 0);
    if v_found > 0 and v_check.auto_fix and v_tries < v_check.fix_attempts then
      perform from private.mend_check(v_check, false, null, null);
      select count(*) into v_found from private.run_check(v_run_id, v_check, null);
      if v_found > 0 then
        insert into private.auto_fix_tries as t (check_name, tries) values (v_check.name, 1)
        on conflict (check_name) do update set tries = t.tries + 1, last_tried_at = private.now()
        returning t.tries into v_tries;
      end if;
    end if;
    if v_found = 0 then
      delete from private.auto_fix_tries t where t.check_name = v_check.name;
    elsif v_check.auto_fix and v_tries >= v_check.fix_attempts then
      v_gave_up := true;
      if v_check.fallback = 'switch_off' then
        update public.integrity_checks c set auto_fix = false where c.name = v_check.name;
        delete from private.auto_fix_tries t where t.check_name = v_check.name;
      end if;
    end if;
    perform private.settle_check_alert(v_check, max(r.id), v_gave_up) from public.check_results r where r.run_id = v_run_id and r.check_name = v_check.name;
    v_total := v_total + v_found;
  end loop;
  return v_total;
end;
$$;
comment on function private.run_scheduled_checks() is
  'Runs every active check, repairs what may be repaired without being asked, raises and clears alerts; returns how many findings are left.';
