-- Override groups: happenings that may overlap each other carry the group's id as share key, for as long as the
-- override holds. Which key a claim has depends on when it starts, not on when somebody looks: an override that
-- expires in June never allowed an overlap in July, so no job has to take anything back.

create function private.check_override() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and (new.id, new.granted_at) is distinct from (old.id, old.granted_at) then
    perform private.fail('invalid_input', 'An override keeps its id and the time it was granted', 'id');
  end if;
  if new.expires_at <= new.granted_at then
    perform private.fail('invalid_input', 'An override expires after it is granted', 'expires_at');
  end if;
  return new;
end;
$$;
comment on function private.check_override() is 'Row trigger on overrides: refuses what no override can be.';

create trigger t20_check before insert or update on public.overrides
  for each row execute function private.check_override();

-- One override can hold happenings of several tables; each table's are derived in one pass. All are locked before any
-- is derived, and all their resources before the first claim is written, in the order everybody else takes them.
create function private.derive_members(p_members public.override_members[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_source record;
begin
  perform private.lock_sources(m.source_table, array_agg(distinct m.source_id))
  from unnest(p_members) m
  group by m.source_table
  order by m.source_table;
  perform private.lock_resources(array(
    select c.resource_id
    from unnest(p_members) m
    join public.claims c on c.source_id = m.source_id and c.source_table = m.source_table
    union
    select r.resource_id
    from unnest(p_members) m
    join public.weekly_rule_resources r on r.rule_id = m.source_id
    where m.source_table = 'weekly_rules'
  ));
  if (select count(distinct m.source_table) from unnest(p_members) m) > 1 then
    -- When a whole group gets another key, one table's new claims must not run into the other's old ones.
    delete from public.claims c using unnest(p_members) m where c.source_id = m.source_id and c.source_table = m.source_table;
  end if;
  for v_source in
    select m.source_table, array_agg(distinct m.source_id) as ids
    from unnest(p_members) m
    group by m.source_table
    order by m.source_table
  loop
    if v_source.source_table = 'weekly_rules' then
      perform private.derive_weekly_rules(v_source.ids, '{}');
    else
      perform private.derive_claims(v_source.source_table, v_source.ids);
    end if;
  end loop;
end;
$$;
comment on function private.derive_members(public.override_members[]) is 'Derives the claims of the members of override groups again.';

create function private.follow_override_members() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if tg_op = 'INSERT' then
    perform private.derive_members(array(select n::public.override_members from new_rows n));
  elsif tg_op = 'DELETE' then
    perform private.derive_members(array(select o::public.override_members from old_rows o));
  else
    perform private.derive_members(array(
      select n::public.override_members from new_rows n union all select o::public.override_members from old_rows o
    ));
  end if;
  return null;
end;
$$;
comment on function private.follow_override_members() is 'Statement trigger on override_members: their claims take or lose the group''s key.';

create trigger t50_claims_insert after insert on public.override_members
  referencing new table as new_rows for each statement execute function private.follow_override_members();
create trigger t50_claims_update after update on public.override_members
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_override_members();
create trigger t50_claims_delete after delete on public.override_members
  referencing old table as old_rows for each statement execute function private.follow_override_members();

create function private.follow_override() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.derive_members(array(
    select m from public.override_members m join new_rows n on n.id = m.override_id
  ));
  return null;
end;
$$;
comment on function private.follow_override() is 'Statement trigger on overrides: a changed end gives the members'' later claims their own keys back.';

create trigger t50_claims_update after update on public.overrides
  referencing new table as new_rows for each statement execute function private.follow_override();

create function private.check_override_member() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if to_regclass(format('private.%I', new.source_table || '_claims')) is null then
    perform private.fail('invalid_input', format('%s is no table of happenings', new.source_table), 'source_table');
  end if;
  return new;
end;
$$;
comment on function private.check_override_member() is 'Row trigger on override_members: the table is one whose rows claim time.';

create trigger t20_check before insert or update on public.override_members
  for each row execute function private.check_override_member();

create trigger t00_read_committed before insert or update or delete on public.override_members
  for each statement execute function private.refuse_other_isolation();
create trigger t00_read_committed before insert or update or delete on public.overrides
  for each statement execute function private.refuse_other_isolation();

create function private.refuse_truncate() returns trigger
language plpgsql set search_path = ''
as $$
begin
  perform private.fail('forbidden', format('%s cannot be truncated: claims depend on its rows', tg_table_name),
    p_details => jsonb_build_object('table', tg_table_name), p_hint => 'Delete the rows instead.');
  return null;
end;
$$;
comment on function private.refuse_truncate() is 'Statement trigger: refuses TRUNCATE, which no row trigger sees.';

create trigger t00_no_truncate before truncate on public.overrides
  for each statement execute function private.refuse_truncate();
create trigger t00_no_truncate before truncate on public.override_members
  for each statement execute function private.refuse_truncate();
