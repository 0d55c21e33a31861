-- Writing the change feed: what a change is, whoever writes it.

-- A restore to another server changes the system's identifier, one to an earlier moment (or a promotion) the timeline, a
-- copy the database's number, and a dump loaded over the old tables the table's.
--
-- Asking the server costs as much as writing a row, and while it runs its answer stays: a restore starts another one, and
-- nobody who was connected before a promotion could write. Hence immutable, which lets each connection ask once, when it
-- plans; nothing stored may depend on it.
create function private.server_history() returns text
language sql immutable set search_path = ''
return substr(encode(sha256(convert_to(concat_ws(' ',
    (select c.system_identifier from pg_catalog.pg_control_system() c),
    substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8),
    (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
  ), 'UTF8')), 'hex'), 1, 8);
comment on function private.server_history() is 'Names this server, since it was last restored or promoted, and this database.';

create function private.feed_history() returns text
language plpgsql stable set search_path = ''
as $$
begin
  return private.server_history() || lpad(to_hex('public.changes'::regclass::oid::bigint), 8, '0');
end;
$$;
comment on function private.feed_history() is
  'Names the history transaction ids belong to: this server, since it was last restored or promoted, this database, this table.';

create function private.stamp_change() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  -- In the order of the columns: one assignment takes half as long as four.
  new := (nextval('private.changes_id'), new.topic, new.event, new.payload, pg_current_xact_id(), private.now(),
    private.server_history() || lpad(to_hex(tg_relid::bigint), 8, '0'));
  return new;
end;
$$;
comment on function private.stamp_change() is 'Row trigger: numbers a change and says when and in which transaction it was written, whatever the insert says.';

create trigger t20_stamp before insert on public.changes
  for each row execute function private.stamp_change();

create function private.refuse_change_update() returns trigger
language plpgsql set search_path = ''
as $$
begin
  perform private.fail('forbidden', 'The change feed is only ever added to', p_details => jsonb_build_object('table', tg_table_name, 'operation', tg_op),
    p_hint => 'Insert a new change that says what is so now.');
  return null;
end;
$$;
comment on function private.refuse_change_update() is 'Statement trigger: what was said stays said.';

create trigger t30_never_updated before update on public.changes
  for each statement execute function private.refuse_change_update();
create trigger t30_never_truncated before truncate on public.changes
  for each statement execute function private.refuse_change_update();

-- Whoever deletes: only what is old, and leaving word of it for cursors that have not seen it.
create function private.note_forgotten() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_history constant text := private.feed_history();
begin
  if exists (
    select from old_rows o
    where o.history = v_history and o.created_at > private.now() - make_interval(days => private.setting_integer('changes_kept_days'))
  ) then
    perform private.fail('forbidden', 'The change feed is only ever added to', p_details => jsonb_build_object('table', tg_table_name, 'operation', tg_op),
      p_hint => 'Changes are deleted once they are older than the setting changes_kept_days.');
  end if;
  update private.feed_state s
  set history = v_history, forgotten_transaction_id = forgotten.latest
  from (select max(o.transaction_id) as latest from old_rows o where o.history = v_history) forgotten
  where forgotten.latest is not null and (s.history is distinct from v_history or forgotten.latest > s.forgotten_transaction_id);
  return null;
end;
$$;
comment on function private.note_forgotten() is 'Statement trigger: refuses to delete young changes, and remembers up to where old ones went.';

create trigger t40_note_forgotten after delete on public.changes
  referencing old table as old_rows
  for each statement execute function private.note_forgotten();

-- Postgres lets one transaction at a time commit that notifies, the whole server over: at every commit, a crowd would wait
-- in line for it. So of those who commit at once one notifies, and nobody waits for it: the others' changes are there when
-- the one's are, or a moment later, which is why whoever listens looks again a moment after being woken. Asked at the end
-- of the transaction, since whoever holds the lock until then would leave unheard what others commit meanwhile.
create function private.wake_listeners() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  -- Each row asks, and what this transaction holds it gets again; it is told apart by the setting, which goes with it.
  if pg_try_advisory_xact_lock(hashtextextended('classbase_changes', 0))
    and current_setting('classbase.woke', true) is distinct from pg_current_xact_id()::text then
    perform set_config('classbase.woke', pg_current_xact_id()::text, true);
    if private.setting_boolean('changes_notify') then
      -- Without a payload: what is new they read themselves.
      perform pg_notify('classbase_changes', '');
    end if;
  end if;
  return null;
end;
$$;
comment on function private.wake_listeners() is 'Constraint trigger, at the end of the transaction: wakes who listens, unless somebody who commits this moment does.';

create constraint trigger t60_wake after insert on public.changes
  deferrable initially deferred for each row execute function private.wake_listeners();

-- After the rows: which topics there are, who is told. Nobody reads a topic that is not registered, so it is a mistake.
create function private.announce_changes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_unknown text;
begin
  if exists (select from new_rows n where not exists (select from private.feed_topics t where t.prefix = split_part(n.topic, ':', 1) offset 0)) then
    select string_agg(distinct n.topic, ', ') into v_unknown
    from new_rows n
    where split_part(n.topic, ':', 1) not in (select t.prefix from private.feed_topics t);
    perform private.fail('invalid_input', format('There is no such topic: %s', left(v_unknown, 200)), 'topic',
      p_hint => 'A module registers its topics in private.feed_topics.');
  end if;
  if to_regprocedure('realtime.send(jsonb,text,text,boolean)') is not null and private.setting_boolean('changes_realtime') then
    perform private.send_to_realtime(array(
      select jsonb_build_object(
        'topic', said.topic, 'event', said.event, 'private', not t.is_public, 'payload', jsonb_build_object('changes', said.changes)
      )
      from (
        select n.topic, case when min(n.event) = max(n.event) then min(n.event) else 'changes' end as event,
          jsonb_agg(jsonb_build_object('id', n.id, 'event', n.event, 'payload', n.payload) order by n.id) as changes
        from new_rows n
        group by n.topic
      ) said
      join private.feed_topics t on t.prefix = split_part(said.topic, ':', 1)
      order by said.topic
    ));
  end if;
  return null;
end;
$$;
comment on function private.announce_changes() is 'Statement trigger: refuses unknown topics, and sends one message a topic to Realtime where that is.';

create trigger t50_announce after insert on public.changes
  referencing new table as new_rows
  for each statement execute function private.announce_changes();

-- Realtime is a courtesy, the feed is the truth: whatever is wrong with it, the work that published is done. Left alone
-- are the classes 40 (deadlocks, which undo the transaction anyway) and 57 (somebody stops the server or the statement).
create function private.send_to_realtime(p_messages jsonb[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  execute format('select %s(m -> ''payload'', m ->> ''event'', m ->> ''topic'', (m ->> ''private'')::boolean)
    from unnest($1) with ordinality as u(m, position) order by position',
    to_regprocedure('realtime.send(jsonb,text,text,boolean)')::oid::regproc) using p_messages;
exception
  when syntax_error_or_access_rule_violation or integrity_constraint_violation or data_exception or feature_not_supported
    or object_not_in_prerequisite_state or program_limit_exceeded or insufficient_resources or plpgsql_error
    or external_routine_exception or system_error or internal_error then
    raise warning 'Realtime did not take % message(s): % (%)', cardinality(p_messages), sqlerrm, sqlstate;
end;
$$;
comment on function private.send_to_realtime(jsonb[]) is 'Hands messages to realtime.send; a failure there is a warning in the log and nothing else.';

-- Who may read a private topic in the feed may receive its broadcasts; Realtime asks once a connection. Public topics are
-- sent to public channels, which it asks nobody about.
create function private.let_realtime_ask() returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
  if to_regclass('realtime.messages') is null or to_regprocedure('realtime.topic()') is null then
    return false;
  end if;
  if not exists (
    select from pg_catalog.pg_policy p
    where p.polrelid = to_regclass('realtime.messages') and p.polname = 'readers of a topic receive its broadcasts'
  ) then
    execute format('create policy "readers of a topic receive its broadcasts" on %s for select to authenticated
      using (extension = ''broadcast'' and (select private.may_read_topic(%s())))',
      to_regclass('realtime.messages'), to_regprocedure('realtime.topic()')::oid::regproc);
  end if;
  return true;
exception when insufficient_privilege then
  raise warning 'Broadcasts of private topics reach nobody: this role may not make policies on realtime.messages';
  return false;
end;
$$;
comment on function private.let_realtime_ask() is 'Where Realtime is, lets those who may read a topic receive its broadcasts; says whether it did.';

create function private.forget_old_changes() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_changes integer;
begin
  delete from public.changes c
  where c.created_at < private.now() - make_interval(days => private.setting_integer('changes_kept_days'))
    or c.history <> private.feed_history();
  get diagnostics v_changes = row_count;
  return v_changes;
end;
$$;
comment on function private.forget_old_changes() is 'Job: deletes changes older than changes_kept_days, and those of an earlier history; returns how many.';
