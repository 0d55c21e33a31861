-- audit_log itself: only ever added to, kept in months, forgotten month by month.

create function private.only_forgets(p_before jsonb, p_after jsonb) returns boolean
language sql immutable set search_path = ''
return p_before is not distinct from p_after or (
  p_before is not null and p_after is not null
  and array(select jsonb_object_keys(p_after)) = array(select jsonb_object_keys(p_before))
  and not exists (select from jsonb_each(p_after) e where e.value <> '"***"' and e.value <> p_before -> e.key)
);
comment on function private.only_forgets(jsonb, jsonb) is 'Whether the second are the values of the first, some of them put out of sight.';

create function private.keep_audit_log() returns trigger
language plpgsql set search_path = ''
as $$
declare
  v_changing constant text[] := '{old_values,new_values,request_id,ip_address,forgotten_at}';
begin
  if tg_op = 'UPDATE' and to_jsonb(new) - v_changing = to_jsonb(old) - v_changing
    and private.only_forgets(old.old_values, new.old_values) and private.only_forgets(old.new_values, new.new_values)
    and coalesce(new.request_id, old.request_id) is not distinct from old.request_id
    and coalesce(new.ip_address, old.ip_address) is not distinct from old.ip_address
    and new.forgotten_at is not null then
    return new;
  end if;
  perform private.fail('forbidden', 'audit_log is only ever added to', p_details => jsonb_build_object('operation', tg_op));
  return null;
end;
$$;
comment on function private.keep_audit_log() is
  'Row trigger of audit_log: whatever writes it, nothing is deleted, and nothing changed but to put values out of sight and say when, as forget_audited() does.';

create trigger t10_only_forgets before update or delete on public.audit_log
  for each row execute function private.keep_audit_log();

-- Statement triggers guard the table that a statement names, so each partition has its own. What triggers write passes
-- without a call: the condition says at what depth.
create function private.guard_audit_log(p_table regclass) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  execute format($sql$
    create or replace trigger t00_only_triggers_write before insert or update or delete on %1$s
      for each statement when (pg_catalog.pg_trigger_depth() = 0) execute function private.refuse_statement('audit_log is only ever added to, by the triggers of the tables it is about');
    create or replace trigger t01_no_truncate before truncate on %1$s
      for each statement execute function private.refuse_statement('audit_log is only ever added to');
  $sql$, p_table);
end;
$$;
comment on function private.guard_audit_log(regclass) is 'Keeps everybody from writing audit_log, or a partition of it, directly.';

select private.guard_audit_log(t) from unnest('{public.audit_log,private.audit_log_rest}'::regclass[]) t;

create function private.audit_partitions() returns table (partition regclass, month date, is_guarded boolean)
language sql stable set search_path = ''
begin atomic
  select c.oid::regclass,
    case when c.relname ~ '^audit_log_\d{4}_\d\d$' then to_date(right(c.relname, 7), 'YYYY_MM') end,
    (
      select count(distinct t.tgname) from pg_catalog.pg_trigger t
      where t.tgrelid = c.oid and t.tgenabled in ('O', 'A') and t.tgname in ('t00_only_triggers_write', 't01_no_truncate', 't10_only_forgets')
    ) = 3
  from pg_catalog.pg_inherits i
  join pg_catalog.pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'public.audit_log'::regclass;
end;
comment on function private.audit_partitions() is 'The partitions of audit_log: the month each holds (null for the rest), and whether its triggers guard it.';

create function private.missing_audit_months() returns table (month date, row_count bigint)
language sql stable set search_path = ''
begin atomic
  select m.month, sum(m.row_count)
  from (
    select (date_trunc('month', private.now() at time zone 'UTC') + make_interval(months => g))::date as month, 0 as row_count
    from generate_series(0, 1) g
    union all
    select date_trunc('month', r.at at time zone 'UTC')::date, count(*) from private.audit_log_rest r group by 1
  ) m
  where not exists (select from private.audit_partitions() p where p.month = m.month)
  group by m.month;
end;
comment on function private.missing_audit_months() is 'This month or the next where it has no partition, and other months of which rows were recorded meanwhile: how many.';

-- Attaching a partition lets everybody else go on writing; only whoever writes or reads the rest waits, and only for a
-- moment, since nobody waits long for the rest itself.
create function private.make_audit_partitions() returns integer
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' set lock_timeout = '2s'
as $$
declare
  v_month date;
  v_partition text;
  v_made integer := 0;
begin
  for v_month in
    select m.month from private.missing_audit_months() m
    union
    select (date_trunc('month', private.now()) + make_interval(months => g))::date from generate_series(0, 3) g
    order by 1
  loop
    v_partition := format('private.audit_log_%s', to_char(v_month, 'YYYY_MM'));
    continue when to_regclass(v_partition) is not null;
    lock table private.audit_log_rest in access exclusive mode;
    execute format('create table %s (like public.audit_log including defaults)', v_partition);
    execute format('comment on table %s is %L', v_partition, format('Changes in %s (UTC).', to_char(v_month, 'YYYY-MM')));
    if exists (select from private.audit_log_rest r where r.at >= v_month and r.at < v_month + interval '1 month') then
      alter table private.audit_log_rest disable trigger user;
      execute format('with moved as (delete from private.audit_log_rest r where r.at >= $1 and r.at < $1 + interval ''1 month'' returning r.*)
        insert into %s select * from moved', v_partition) using v_month::timestamptz;
      alter table private.audit_log_rest enable trigger user;
    end if;
    execute format('alter table public.audit_log attach partition %s for values from (%L) to (%L)',
      v_partition, v_month::timestamptz, (v_month + interval '1 month')::timestamptz);
    v_made := v_made + 1;
  end loop;
  perform private.guard_audit_log(p.partition) from private.audit_partitions() p where not p.is_guarded;
  return v_made;
end;
$$;
comment on function private.make_audit_partitions() is
  'Job: makes the partitions of this month and the three to come, and of months whose rows had to go to the rest; returns how many.';

create function private.drop_old_audit_partitions() returns integer
language plpgsql volatile security definer set search_path = '' set lock_timeout = '2s'
as $$
declare
  v_kept constant integer := private.setting_integer('audit_months_kept');
  v_partition regclass;
  v_dropped integer := 0;
begin
  for v_partition in
    select p.partition from private.audit_partitions() p
    where v_kept > 0 and p.month < date_trunc('month', private.now() at time zone 'UTC') - make_interval(months => v_kept)
    order by p.month
  loop
    execute format('drop table %s', v_partition);
    v_dropped := v_dropped + 1;
  end loop;
  return v_dropped;
end;
$$;
comment on function private.drop_old_audit_partitions() is
  'Job: drops the months that lie further back than audit_months_kept (0 keeps all); returns how many. It gives up when others keep the log busy for two seconds, and is run again.';
