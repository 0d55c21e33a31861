-- Reading the change feed.

create function private.may_read_topic(p_topic text) returns boolean
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_topic private.feed_topics;
  v_may boolean;
begin
  select t.* into v_topic from private.feed_topics t where t.prefix = split_part(p_topic, ':', 1);
  if not found or (private.caller_id() is null and not v_topic.is_public and not private.is_trusted()) then
    return false;
  end if;
  if v_topic.may_read is null or private.is_trusted() then
    return true;
  end if;
  execute format('select private.%I($1)', split_part(v_topic.may_read, '.', 2)) into v_may using substr(p_topic, length(v_topic.prefix) + 2);
  return coalesce(v_may, false);
end;
$$;
comment on function private.may_read_topic(text) is 'Whether the caller may read a topic, as private.feed_topics says; false for topics nobody registered.';

create function private.check_feed_topic() returns trigger
language plpgsql stable set search_path = ''
as $$
begin
  if new.may_read is not null and not exists (
    select from pg_catalog.pg_proc p
    where p.oid = to_regprocedure(new.may_read || '(text)') and p.prorettype = 'boolean'::regtype and p.provolatile <> 'v'
  ) then
    perform private.fail('invalid_input', format('%s(text) is no stable function that says yes or no', new.may_read), 'may_read');
  end if;
  return new;
end;
$$;
comment on function private.check_feed_topic() is 'Row trigger: who may read a topic is said by a function that exists.';

create trigger t20_check before insert or update on private.feed_topics
  for each row execute function private.check_feed_topic();

-- The transaction that asks is over for nobody yet, and its own snapshot leaves it out: what it wrote is for those who
-- ask after it, itself included.
create function private.feed_snapshot() returns pg_snapshot
language sql stable set search_path = ''
return (
  select case
      when own.id is null or own.id >= pg_snapshot_xmax(s.now) then s.now
      else format('%s:%s:%s', least(pg_snapshot_xmin(s.now), own.id), pg_snapshot_xmax(s.now),
        (
          select string_agg(running.id::text, ',' order by running.id)
          from (select pg_snapshot_xip(s.now) union select own.id) running(id)
        ))::pg_snapshot
    end
  from (select pg_current_snapshot()) s(now)
  cross join (select pg_current_xact_id_if_assigned()) own(id)
);
comment on function private.feed_snapshot() is 'Which transactions are over for the statement that asks: the place in the feed up to which it can read.';

-- A cursor is HISTORY.SNAPSHOT, or HISTORY.SNAPSHOT.TARGET.ID in the middle of what lies between two snapshots.
create function private.read_cursor(p_cursor text, out history text, out seen pg_snapshot, out target pg_snapshot, out last_id bigint)
language plpgsql immutable set search_path = ''
as $$
declare
  v_parts constant text[] := string_to_array(p_cursor, '.');
begin
  if length(p_cursor) > 100000
    or p_cursor !~ '^[0-9a-f]{16}\.[0-9]{1,18}:[0-9]{1,18}:[0-9,]*(\.[0-9]{1,18}:[0-9]{1,18}:[0-9,]*\.[0-9]{1,18})?$' then
    raise invalid_text_representation;
  end if;
  history := v_parts[1];
  seen := v_parts[2]::pg_snapshot;
  target := v_parts[3]::pg_snapshot;
  last_id := v_parts[4]::bigint;
  if pg_snapshot_xmax(target) < pg_snapshot_xmax(seen) then
    raise invalid_text_representation;
  end if;
exception when invalid_text_representation then
  perform private.fail('invalid_input', 'This is no cursor', 'p_cursor',
    p_hint => 'Use cursors as changes_since answered them, and none to begin with.');
end;
$$;
comment on function private.read_cursor(text) is 'The parts of a cursor; refuses what never was one.';

create function private.check_topics(p_topics text[]) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_limit constant integer := private.changes_topics_limit();
  v_forbidden text[];
begin
  if p_topics is null then
    perform private.fail_input(private.input_error(not private.is_trusted(), 'p_topics', 'Say which topics to read'));
    return;
  end if;
  perform private.fail_input(
    private.input_error(array_position(p_topics, null) is not null, 'p_topics', 'A topic is missing')
      || private.input_error(cardinality(p_topics) = 0, 'p_topics', 'Say which topics to read')
  );
  if cardinality(p_topics) > v_limit then
    perform private.fail('limit_exceeded', format('At most %s topics can be read at once', v_limit), 'p_topics', jsonb_build_object('limit', v_limit));
  end if;
  v_forbidden := array(select t from unnest(p_topics) t where not private.may_read_topic(t));
  if cardinality(v_forbidden) > 0 then
    perform private.fail('forbidden', format('You may not read %s', left(array_to_string(v_forbidden, ', '), 200)), 'p_topics',
      jsonb_build_object('topics', v_forbidden));
  end if;
end;
$$;
comment on function private.check_topics(text[]) is 'Refuses topics the caller may not read; all topics at once (null) are for servers.';

create function private.changes_topics_limit() returns integer
language sql stable security definer set search_path = ''
return private.setting_integer('changes_topics_limit');
comment on function private.changes_topics_limit() is 'How many topics one call may read.';

-- Everything below reads with the one snapshot of the statement that calls, because the functions are stable: what is
-- served and the cursor after it belong together.
create function private.read_changes(p_cursor text, p_topics text[], p_limit integer)
returns table (cursor text, more boolean, id bigint, topic text, event text, payload jsonb, created_at timestamptz)
language plpgsql stable security definer set search_path = ''
-- The lower bound is what makes this cheap; a plan for cursors in general would walk the whole feed.
set plan_cache_mode = force_custom_plan
as $$
declare
  v_history constant text := private.feed_history();
  v_now constant pg_snapshot := private.feed_snapshot();
  v_state private.feed_state;
  v_seen pg_snapshot;
  v_target pg_snapshot;
  v_last_id bigint;
  v_open xid8[];
  v_is_ours boolean;
begin
  perform private.check_topics(p_topics);
  if p_limit not between 1 and 1000 then
    perform private.fail('limit_exceeded', 'Between 1 and 1000 changes can be read at once', 'p_limit', jsonb_build_object('limit', 1000));
  end if;
  if p_cursor is null then
    return query select v_history || '.' || v_now, false, null::bigint, null::text, null::text, null::jsonb, null::timestamptz;
    return;
  end if;

  select c.history = v_history, c.seen, coalesce(c.target, v_now), c.last_id
  into v_is_ours, v_seen, v_target, v_last_id
  from private.read_cursor(p_cursor) c;
  select s.* into v_state from private.feed_state s;
  -- A cursor from the future is one of a past that was undone, such as a crash of a server that does not wait for its disk.
  if not v_is_ours or greatest(pg_snapshot_xmax(v_seen), pg_snapshot_xmax(v_target)) > pg_snapshot_xmax(v_now)
    or (v_state.history = v_history and pg_snapshot_xmin(v_seen) <= v_state.forgotten_transaction_id) then
    perform private.fail('cursor_expired', 'What followed this cursor is no longer known',
      p_details => jsonb_build_object('reason', case when v_is_ours and greatest(pg_snapshot_xmax(v_seen), pg_snapshot_xmax(v_target)) <= pg_snapshot_xmax(v_now) then 'forgotten' else 'restored' end),
      p_hint => 'Start again: ask without a cursor, then read the rows themselves.');
  end if;

  v_open := array(select pg_snapshot_xip(v_seen));
  if v_last_id is null then
    -- Where what is new begins, so that the feed is not walked from its beginning.
    select min(found.id) into v_last_id
    from (
      select c.id
      from public.changes c
      where (c.transaction_id >= pg_snapshot_xmax(v_seen) or c.transaction_id = any(v_open))
        and pg_visible_in_snapshot(c.transaction_id, v_target)
        and (p_topics is null or c.topic = any(p_topics))
        and c.history = v_history
      offset 0
    ) found;
    v_last_id := v_last_id - 1;
  end if;

  return query
    with page as (
      select c.*, row_number() over (order by c.id) as position, count(*) over () as found
      from (
        select c.id, c.topic, c.event, c.payload, c.created_at
        from public.changes c
        where c.id > v_last_id
          and (c.transaction_id >= pg_snapshot_xmax(v_seen) or c.transaction_id = any(v_open))
          and pg_visible_in_snapshot(c.transaction_id, v_target)
          and (p_topics is null or c.topic = any(p_topics))
          and c.history = v_history
        order by c.id
        limit p_limit + 1
      ) c
    )
    select
      case when p.position = p.found then v_history || '.' || v_target else concat_ws('.', v_history, v_seen, v_target, p.id) end,
      p.position < p.found, p.id, p.topic, p.event, p.payload, p.created_at
    from page p
    where p.position <= p_limit
    order by p.position;
  if not found then
    return query select v_history || '.' || v_target, false, null::bigint, null::text, null::text, null::jsonb, null::timestamptz;
  end if;
end;
$$;
comment on function private.read_changes(text, text[], integer) is
  'The changes after a cursor, oldest first, each with the cursor after it; one row without a change when there is none.';
