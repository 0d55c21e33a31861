-- Claims follow their sources.
--
-- A source table has a uuid `id` and a view private.<table>_claims (source_id, resource_id, during, occurs_on, kind,
-- title): what its rows claim, worked out from the live rows. Claims of one row and date differ in their resource only.
-- `select private.attach_claims('public.x')` makes its claims follow it; for a child table that the view also reads,
-- `select private.attach_claims('public.y', 'public.x', 'x_id')`. Nothing else is needed.

create trigger t00_only_triggers_write before insert or update or delete or truncate on public.claims
  for each statement execute function private.refuse_direct_write(
    'Write the happening itself (a meeting, a weekly rule, …): its claims follow.');

-- The key of one happening, or of one date of a recurring one: two dates of a rule may not overlap either, should one of
-- them be moved onto the other. The table's name is part of it, so that a row made with the id of another table's row
-- does not get the right to overlap it; days are counted, because how a date is written depends on the session.
create function private.happening_key(p_source_table text, p_source_id uuid, p_occurs_on date) returns uuid
language sql immutable strict set search_path = ''
return md5(p_source_table || p_source_id::text || (p_occurs_on - date '1970-01-01'))::uuid;
comment on function private.happening_key(text, uuid, date) is 'The share key of a happening that is in no override group.';

create function private.require_read_committed() returns void
language plpgsql stable set search_path = ''
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    perform private.fail('invalid_input',
      format('This is written under READ COMMITTED, not %s', upper(current_setting('transaction_isolation'))),
      'isolation_level', p_hint => 'Begin the transaction without naming an isolation level.');
  end if;
end;
$$;
comment on function private.require_read_committed() is
  'Refuses other isolation levels: under them a statement after a lock still sees what was before it.';

create function private.lock_resources(p_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  select from public.resources r where r.id = any(p_ids) order by r.id for no key update;
end;
comment on function private.lock_resources(uuid[]) is 'Locks resources in the order everybody locks them in.';

-- Explains, from the rows that stand there, why claims could not be made. Says nothing when nothing stands there any
-- more: whoever was in the way has gone meanwhile.
create function private.refuse_overlap(p_missing public.claims[]) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sees_all boolean := private.has_permission('read:calendar');
  v_self uuid := private.current_profile_id();
  v_message text;
  v_conflicts jsonb;
  v_count integer;
begin
  with clashes as (
    select n.resource_id, r.name, n.source_table, n.source_id, n.during,
      c.source_table as with_table, c.source_id as with_id, c.occurs_on, c.kind, c.title, c.during as with_during,
      v_sees_all or n.resource_id = v_self as is_told,
      row_number() over (order by lower(n.during), r.name, lower(c.during), c.source_id) as position,
      count(*) over () as total
    from unnest(p_missing) n
    join public.claims c on c.resource_id = n.resource_id and c.during && n.during and c.share_key <> n.share_key
    join public.resources r on r.id = n.resource_id
  )
  select max(total),
    max(case when position = 1 then
      format('%s is already %s, %s', name, case when is_told then 'in ' || title else 'taken' end, private.describe_range(with_during))
      || case when total > 1 then format(' (and %s more)', total - 1) else '' end
    end),
    jsonb_agg(
      jsonb_build_object(
        'resource_id', resource_id, 'resource_name', name, 'source_table', source_table, 'source_id', source_id,
        'starts_at', lower(during), 'ends_at', upper(during), 'conflicts_with',
        jsonb_build_object('starts_at', lower(with_during), 'ends_at', upper(with_during))
        || case when is_told then jsonb_build_object(
          'source_table', with_table, 'source_id', with_id, 'occurs_on', occurs_on, 'kind', kind, 'title', title
        ) else '{}' end
      ) order by position
    ) filter (where position <= 100)
  into v_count, v_message, v_conflicts
  from clashes;
  if v_count > 0 then
    perform private.fail('time_conflict', v_message, p_details => jsonb_build_object('conflicts', v_conflicts, 'count', v_count),
      p_hint => 'Choose another time, or somebody or somewhere else; free_slots() says when all are free.');
  end if;
end;
$$;
comment on function private.refuse_overlap(public.claims[]) is
  'Raises time_conflict naming what stands in the way of these claims, as far as the caller may read it.';

-- One-off uses end before the horizon; what a rule promises starts before it. So whatever is claimed later, by a
-- horizon moving on, starts where no one-off can be.
create function private.refuse_beyond_horizon(p_claims public.claims[]) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_late record;
begin
  select r.id, r.name, h.claimed_until, n.title into v_late
  from unnest(p_claims) n
  join public.resources r on r.id = n.resource_id
  left join public.resource_horizons h on h.resource_id = n.resource_id
  where coalesce(case when n.source_table = 'weekly_rules' then lower(n.during) >= h.claimed_until
    else upper(n.during) > h.claimed_until end, true)
  order by lower(n.during), r.name
  limit 1;
  if found then
    perform private.fail('limit_exceeded',
      format('%s can be booked until %s only', v_late.name, coalesce(v_late.claimed_until::text, 'an unknown time')), 'ends_at',
      jsonb_build_object('resource_id', v_late.id, 'limit', v_late.claimed_until),
      'Holders of book:beyond_horizon may call extend_horizon() first.');
  end if;
end;
$$;
comment on function private.refuse_beyond_horizon(public.claims[]) is 'Raises limit_exceeded for claims beyond their resource''s horizon.';

-- A function for each source, so that its plan is kept.
create function private.compare_claims_of(p_source_table text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  execute format($sql$
    create function private.%1$I(p_ids uuid[], out gone public.claims[], out missing public.claims[])
    language plpgsql volatile set search_path = ''
    as $function$
    begin
      with wanted as materialized (
        select w.resource_id, w.during,
          case when lower(w.during) < coalesce(least(o.expires_at, o.revoked_at), 'infinity') and o.id is not null
            then o.id else md5(%3$L || w.source_id::text || (w.occurs_on - date '1970-01-01'))::uuid end as share_key,
          %3$L as source_table, w.source_id, w.occurs_on, w.kind, w.title
        from private.%2$I w
        left join public.override_members m on m.source_id = w.source_id and m.source_table = %3$L
        left join public.overrides o on o.id = m.override_id
        where w.source_id = any(p_ids)
      ), present as materialized (
        select c.resource_id, c.during, c.share_key, c.source_table, c.source_id, c.occurs_on, c.kind, c.title
        from public.claims c
        where c.source_id = any(p_ids) and c.source_table = %3$L
      )
      select array_agg(row(p.*)::public.claims) filter (where w.source_id is null), array_agg(row(w.*)::public.claims) filter (where p.source_id is null)
      into gone, missing
      from present p
      full join wanted w using (resource_id, during, share_key, source_table, source_id, occurs_on, kind, title)
      where p.source_id is null or w.source_id is null;
    end;
    $function$;
    comment on function private.%1$I(uuid[]) is %4$L;
  $sql$, p_source_table || '_claims_compared', p_source_table || '_claims', p_source_table,
    format('Of these rows of %s: the claims there are and should not be, and those there should be and are not.', p_source_table));
end;
$$;
comment on function private.compare_claims_of(text) is
  'Makes the function that compares the claims of a source table with what its view private.<table>_claims says.';

-- The caller holds locks on the source rows. Only the difference between what is and what should be is written, so
-- that an update of a note touches no claim. Losers of the constraint are found by counting, never by an exception:
-- ON CONFLICT DO NOTHING waits for whoever is ahead instead of deadlocking with them.
create function private.derive_claims(p_source_table text, p_ids uuid[], p_partial boolean default false) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_gone public.claims[];
  v_new public.claims[];
  v_missing public.claims[];
  v_inserted integer;
  v_refuses_unavailable boolean := private.setting_text('availability_policy') = 'refuse';
  v_plans constant text := current_setting('plan_cache_mode');
begin
  perform private.require_read_committed();
  -- Planning takes longer than comparing a few, and many are worth a plan of their own.
  perform set_config('plan_cache_mode', case when cardinality(p_ids) > 100 then 'force_custom_plan' else 'force_generic_plan' end, true);
  execute format('select d.gone, d.missing from private.%I($1) d', p_source_table || '_claims_compared') into v_gone, v_new using p_ids;
  perform set_config('plan_cache_mode', v_plans, true);

  -- Whoever makes a single claim holds nothing while waiting for it. Whoever makes several, or leaves some for others,
  -- would hold the one while waiting for the next: with the resources locked, in order, they wait before they hold
  -- anything. Where time off refuses claims, whoever approves it holds the same locks.
  if v_gone is not null or cardinality(v_new) > 1 or v_refuses_unavailable and v_new is not null then
    perform private.lock_resources(array(select n.resource_id from unnest(v_gone || v_new) n));
  end if;
  if v_gone is not null then
    delete from public.claims c using unnest(v_gone) g
    where c.resource_id = g.resource_id and c.source_table = g.source_table and c.source_id = g.source_id
      and c.occurs_on = g.occurs_on;
  end if;

  if v_new is null then
    return;
  end if;
  if p_partial then
    v_new := array(
      select n from unnest(v_new) n
      join public.resource_horizons h on h.resource_id = n.resource_id
      where case when n.source_table = 'weekly_rules' then lower(n.during) < h.claimed_until else upper(n.during) <= h.claimed_until end
    );
  else
    perform private.refuse_beyond_horizon(v_new);
  end if;
  v_missing := v_new;
  for attempt in 1..5 loop
    with inserted as (
      insert into public.claims (resource_id, during, share_key, source_table, source_id, occurs_on, kind, title)
      select n.resource_id, n.during, n.share_key, n.source_table, n.source_id, n.occurs_on, n.kind, n.title
      from unnest(v_missing) n
      order by lower(n.during), n.resource_id, n.source_id
      on conflict do nothing
      returning 1
    )
    select count(*) into v_inserted from inserted;
    exit when v_inserted = cardinality(v_missing) or p_partial;
    if attempt = 5 then
      perform private.fail('time_conflict', 'Somebody else was there a moment ago', p_hint => 'Try again.');
    end if;
    v_missing := array(
      select n from unnest(v_missing) n
      where not exists (
        select from public.claims c
        where c.resource_id = n.resource_id and c.source_table = n.source_table and c.source_id = n.source_id
          and c.occurs_on = n.occurs_on and c.during = n.during
      )
    );
    perform private.refuse_overlap(v_missing);
  end loop;
  if v_refuses_unavailable and not p_partial then
    -- Time that was taken before, such as by a happening that only got another name, stays taken.
    perform private.refuse_unavailable(array(
      select n from unnest(v_new) n
      where not exists (select from unnest(v_gone) g where g.resource_id = n.resource_id and g.during = n.during)
    ));
  end if;
end;
$$;
comment on function private.derive_claims(text, uuid[], boolean) is
  'Makes the claims of these happenings what their source rows say, or raises time_conflict; the caller has locked the rows. Partial (repairs only): claims what can be claimed and leaves the rest to diagnosis.';

create function private.lock_sources(p_source_table text, p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  execute format('select from public.%I s where s.id = any($1) order by s.id for no key update', p_source_table) using p_ids;
end;
$$;
comment on function private.lock_sources(text, uuid[]) is 'Locks happenings, so that nobody else derives their claims meanwhile.';

-- An override may name a happening before it is written, and may be taken back this very moment: then its key must not
-- be lent. Happenings that are there already need no such lock, since whoever changes an override derives its members
-- again under their locks.
create function private.lock_memberships(p_source_table text, p_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  select from public.override_members m
  join public.overrides o on o.id = m.override_id
  where m.source_id = any(p_ids) and m.source_table = p_source_table
  order by o.id
  for share of m, o;
end;
comment on function private.lock_memberships(text, uuid[]) is 'Keeps the overrides of new happenings as they are until these are written.';

-- A happening made later with the id of one that is gone is another one, and was allowed nothing.
create function private.forget_memberships(p_source_table text, p_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  delete from public.override_members m where m.source_id = any(p_ids) and m.source_table = p_source_table;
end;
comment on function private.forget_memberships(text, uuid[]) is 'Takes deleted happenings out of their override groups.';

-- Arguments: the source table's name, the column that holds its id, and whether this table is a child of it.
create function private.follow_source() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  if tg_op = 'TRUNCATE' then
    perform private.fail('forbidden', format('%s cannot be truncated: time is claimed for its rows', tg_table_name),
      p_details => jsonb_build_object('table', tg_table_name), p_hint => 'Delete the rows: their claims go with them.');
  end if;
  -- Only ids are taken from the transition tables: a later trigger may have changed the rows again.
  execute case tg_op
      when 'INSERT' then format('select array_agg(distinct n.%I) from new_rows n', tg_argv[1])
      when 'DELETE' then format('select array_agg(distinct o.%I) from old_rows o', tg_argv[1])
      else format('select array_agg(u.id) from (select n.%1$I as id from new_rows n union select o.%1$I from old_rows o) u', tg_argv[1])
    end into v_ids;
  if v_ids is null then
    return null;
  end if;
  if tg_argv[2]::boolean then
    -- Somebody else may be changing the parent this moment; the lock, and the next statement, see what they did.
    perform private.lock_sources(tg_argv[0], v_ids);
  elsif tg_op = 'INSERT' then
    perform private.lock_memberships(tg_argv[0], v_ids);
  end if;
  perform private.derive_claims(tg_argv[0], v_ids);
  if tg_op = 'DELETE' and not tg_argv[2]::boolean then
    perform private.forget_memberships(tg_argv[0], v_ids);
  end if;
  return null;
end;
$$;
comment on function private.follow_source() is 'Statement trigger of every source table and its children: derives the claims of the changed rows.';

-- Before a row is touched, since under those levels the touching itself may fail, with a code PostgREST retries for ever.
create function private.refuse_other_isolation() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  perform private.require_read_committed();
  return null;
end;
$$;
comment on function private.refuse_other_isolation() is 'Statement trigger: what claims follow is written under READ COMMITTED.';

create function private.attach_claims(p_table regclass, p_source regclass default null, p_key text default 'id') returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_source text := (select c.relname from pg_catalog.pg_class c where c.oid = coalesce(p_source, p_table));
  v_arguments text := format('%L, %L, %L', v_source, p_key, p_source is not null);
begin
  if p_source is null then
    perform private.compare_claims_of(v_source);
  end if;
  execute format('create trigger t00_read_committed before insert or update or delete on %s
    for each statement execute function private.refuse_other_isolation()', p_table);
  execute format('create trigger t50_claims_insert after insert on %s referencing new table as new_rows
    for each statement execute function private.follow_source(%s)', p_table, v_arguments);
  execute format('create trigger t50_claims_update after update on %s referencing old table as old_rows new table as new_rows
    for each statement execute function private.follow_source(%s)', p_table, v_arguments);
  execute format('create trigger t50_claims_delete after delete on %s referencing old table as old_rows
    for each statement execute function private.follow_source(%s)', p_table, v_arguments);
  execute format('create trigger t00_no_truncate before truncate on %s
    for each statement execute function private.follow_source(%s)', p_table, v_arguments);
end;
$$;
comment on function private.attach_claims(regclass, regclass, text) is
  'Makes claims follow a source table, or a child of one: (table), or (child, source, the child''s column with the source''s id).';

-- Repairs go through a table of their own, so that claims are still written by triggers only, and each repair is on
-- record.
create table private.ledger_rebuilds (
  id bigint generated always as identity primary key,
  source_table text not null,
  source_ids uuid[] not null,
  rebuilt_by text not null default private.calling(),
  rebuilt_at timestamptz not null default private.now()
);
comment on table private.ledger_rebuilds is 'Every time claims were derived again from their sources: of what, by whom, when.';
comment on column private.ledger_rebuilds.source_ids is 'The happenings whose claims were derived again.';

create function private.rebuild_claims() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_sources(new.source_table, new.source_ids);
  perform private.lock_resources(array(
    select c.resource_id from public.claims c where c.source_table = new.source_table and c.source_id = any(new.source_ids)
    union
    select p.resource_id from public.weekly_rule_resources p where new.source_table = 'weekly_rules' and p.rule_id = any(new.source_ids)
  ));
  perform private.derive_claims(new.source_table, new.source_ids, true);
  return null;
end;
$$;
comment on function private.rebuild_claims() is 'Row trigger on ledger_rebuilds: derives the claims of the named happenings again, as far as they fit.';

create trigger t50_rebuild after insert on private.ledger_rebuilds
  for each row execute function private.rebuild_claims();

create function private.claim_sources() returns table (source_table text)
language sql stable set search_path = ''
begin atomic
  select left(v.relname, -length('_claims'))
  from pg_catalog.pg_class v
  join pg_catalog.pg_namespace n on n.oid = v.relnamespace and n.nspname = 'private'
  join pg_catalog.pg_class t on t.relname = left(v.relname, -length('_claims')) and t.relkind in ('r', 'p')
  join pg_catalog.pg_namespace p on p.oid = t.relnamespace and p.nspname = 'public'
  where v.relkind = 'v' and v.relname like '%\_claims';
end;
comment on function private.claim_sources() is 'The tables whose rows claim time: those with a view private.<table>_claims.';
