-- Running checks and keeping what they find.
--
-- Whoever runs checks or repairs takes one lock first and looks afterwards, in a later statement: so results rise in the
-- order of looking, two at once keep nothing twice, and nobody waits in a circle.

create function private.wait_for_diagnosis() returns void
language sql volatile set search_path = ''
return pg_catalog.pg_advisory_xact_lock(hashtextextended('classbase diagnosis', 0));
comment on function private.wait_for_diagnosis() is 'Lets one transaction at a time run checks and repairs.';

create function private.error_sentence(p_message text, p_sqlstate text) returns text
language sql immutable set search_path = ''
return left(private.clean_text(case p_sqlstate when 'PGRST' then p_message::jsonb ->> 'message' else p_message end), 500);
comment on function private.error_sentence(text, text) is 'What an error says to people, also where private.fail() said it as JSON.';

-- In one statement: what is found, what of it is new, what is no longer there. Nothing is written about what stays.
create function private.keep_findings(p_result_id bigint, p_check public.integrity_checks, p_failure text, p_since timestamptz)
returns table (
  check_name text, module text, category text, severity text, entity text, entity_id text, message text, detail jsonb, can_be_fixed boolean,
  run_id bigint, first_seen_at timestamptz
)
language plpgsql volatile security definer set search_path = ''
as $$
begin
  return query execute format($sql$
    with seen as materialized (
      select f.entity collate "C" as entity, coalesce(f.entity_id, '') collate "C" as entity_id, f.message collate "C" as message,
        coalesce(f.detail, '{}') as detail
      from %s %s
    ),
    keyed as materialized (
      select distinct on (s.entity, s.entity_id) s.entity, s.entity_id, s.message, s.detail from seen s order by s.entity, s.entity_id, s.message
    ),
    known as materialized (
      select o.id, o.entity collate "C" as entity, o.entity_id collate "C" as entity_id, o.severity, o.message, o.detail, o.first_seen_at
      from public.findings o
      where o.check_name = $2 and o.resolved_at is null
    ),
    before as (
      select r.id, r.checked_at from public.check_results r
      where r.check_name = $2 and r.id < $1 and r.failure is null order by r.id desc limit 1
    ),
    -- A check that could not be run says nothing about what it found before.
    gone as (
      update public.findings o
      set resolved_at = $3, last_result_id = coalesce((select b.id from before b), o.first_result_id),
        last_seen_at = coalesce((select b.checked_at from before b), o.first_seen_at)
      from known n
      where o.id = n.id and not $6 and not exists (select from keyed k where k.entity = n.entity and k.entity_id = n.entity_id)
      returning o.id
    ),
    changed as (
      update public.findings o
      set severity = $4, message = k.message, detail = k.detail
      from known n
      join keyed k on k.entity = n.entity and k.entity_id = n.entity_id
      where o.id = n.id and (n.severity, n.message, n.detail) is distinct from ($4, k.message, k.detail)
    ),
    fresh as materialized (
      select k.* from keyed k where not exists (select from known n where n.entity = k.entity and n.entity_id = k.entity_id)
    ),
    kept as (
      insert into public.findings (check_name, entity, entity_id, severity, message, detail, first_result_id, first_seen_at)
      select $2, f.entity, f.entity_id, $4, f.message, f.detail, $1, $3
      from fresh f
      order by f.entity, f.entity_id
      limit greatest(private.setting_integer('findings_kept_per_check') - (select count(*) from known), 0)
    ),
    counted as (
      update public.check_results r
      set found = (select count(*) from keyed), appeared = (select count(*) from fresh), resolved = (select count(*) from gone)
      where r.id = $1
      returning r.run_id
    )
    select $2, $7, $8, $4, s.entity, s.entity_id, s.message, s.detail, $9, c.run_id, coalesce(n.first_seen_at, $3)
    from counted c
    cross join seen s
    left join known n on n.entity = s.entity and n.entity_id = s.entity_id
    where $5 is null or coalesce(n.first_seen_at, $3) >= $5
    order by s.entity, s.entity_id, s.message
  $sql$, case when p_failure is null then format('private.%I()', 'check_' || p_check.name)
    else '(values (''integrity_checks'', $2, $10, ''{}''::jsonb)) as f(entity, entity_id, message, detail)' end,
    case when p_failure is null then 'f' else '' end)
  using p_result_id, p_check.name, private.now(), case when p_failure is null then p_check.severity else 'critical' end, p_since,
    p_failure is not null, p_check.module, p_check.category, p_failure is null and p_check.fix_description is not null,
    format('The check %s could not be run: %s', p_check.name, p_failure);
end;
$$;
comment on function private.keep_findings(bigint, public.integrity_checks, text, timestamptz) is
  'Runs a check, keeps what it finds under this result, resolves what it no longer finds, and returns it; with a failure, that it could not be run.';

-- A check that cannot be run is a finding of its own, and keeps none of the others from running. Time-outs, deadlocks and
-- the like are nobody's finding: they end the call.
create function private.run_check(p_run_id bigint, p_check public.integrity_checks, p_since timestamptz)
returns table (
  check_name text, module text, category text, severity text, entity text, entity_id text, message text, detail jsonb, can_be_fixed boolean,
  run_id bigint, first_seen_at timestamptz
)
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_result_id bigint;
  v_looked_at bigint;
  v_message text;
  v_sqlstate text;
begin
  begin
    if p_check.looks_at is not null then
      execute format('select count(*) from %s', p_check.looks_at::regclass) into v_looked_at;
    end if;
    insert into public.check_results (run_id, check_name, looked_at) values (p_run_id, p_check.name, v_looked_at) returning id into v_result_id;
    return query select k.* from private.keep_findings(v_result_id, p_check, null, p_since) k;
    return;
  exception
    when data_exception or integrity_constraint_violation or cardinality_violation or syntax_error_or_access_rule_violation
      or object_not_in_prerequisite_state or program_limit_exceeded or feature_not_supported or insufficient_resources
      or invalid_transaction_state or plpgsql_error or internal_error or external_routine_exception or system_error or sqlstate 'PGRST' then
    get stacked diagnostics v_message = message_text, v_sqlstate = returned_sqlstate;
  end;
  v_message := private.error_sentence(v_message, v_sqlstate);
  insert into public.check_results (run_id, check_name, failure) values (p_run_id, p_check.name, v_message) returning id into v_result_id;
  return query select k.* from private.keep_findings(v_result_id, p_check, v_message, p_since) k;
end;
$$;
comment on function private.run_check(bigint, public.integrity_checks, timestamptz) is
  'Runs one check as part of a run and keeps what it finds; where it fails, that is what is found.';

create function private.forget_old_findings() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_before constant timestamptz := private.now() - make_interval(days => private.setting_integer('findings_days'));
  v_count integer;
begin
  delete from public.findings f where f.resolved_at < v_before;
  get diagnostics v_count = row_count;
  delete from public.diagnostic_runs r
  where r.run_at < v_before
    -- The last word of every check stays, however old.
    and not exists (
      select from public.check_results c
      where c.run_id = r.id and not exists (select from public.check_results l where l.check_name = c.check_name and l.id > c.id)
    );
  return v_count;
end;
$$;
comment on function private.forget_old_findings() is 'Deletes findings that were put right, and runs, once they are older than findings_days; returns how many findings.';

-- What findings say names people. Whoever is called otherwise, or is erased, is called otherwise there too.
create function private.rename_in_findings() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_old constant text := trim('"' from to_jsonb(old.full_name)::text);
  v_new constant text := trim('"' from to_jsonb(new.full_name)::text);
begin
  update public.findings f
  set message = replace(f.message, old.full_name, new.full_name), detail = replace(f.detail::text, v_old, v_new)::jsonb
  where strpos(f.message, old.full_name) > 0 or strpos(f.detail::text, v_old) > 0;
  return null;
end;
$$;
comment on function private.rename_in_findings() is
  'Row trigger on user_profiles: what findings say names somebody by the name they have now, which for somebody erased is none.';

create trigger t61_rename_in_findings after update of full_name on public.user_profiles
  for each row when (old.full_name is distinct from new.full_name and length(old.full_name) > 2)
  execute function private.rename_in_findings();
