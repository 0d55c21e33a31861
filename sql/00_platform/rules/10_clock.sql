-- The clock and the caller: the two things every rule asks about its surroundings.
--
-- Rules ask many times a statement, hence plpgsql: a function that pins its search path is never put in the place of its
-- call, and one in SQL starts the executor (before Postgres 18 also the planner) each time.

-- Tests that move time replace the body of this function; nothing else reads a clock.
create function private.now() returns timestamptz
language plpgsql stable set search_path = ''
as $$
begin
  return pg_catalog.now();
end;
$$;
comment on function private.now() is 'The only clock rules read: the start of the transaction.';

-- How long something took is no rule.
create function private.stopwatch() returns timestamptz
language sql volatile set search_path = ''
return pg_catalog.clock_timestamp();
comment on function private.stopwatch() is 'The present instant, also within a transaction: for measuring how long something takes, and for nothing else.';

create function private.caller_id() returns uuid
language plpgsql stable set search_path = ''
as $$
begin
  return auth.uid();
end;
$$;
comment on function private.caller_id() is 'The signed-in user''s id, or null.';

-- The role a request acts as. current_user would be the owner inside a definer function; the role setting is not.
create function private.acting_role() returns text
language plpgsql stable set search_path = ''
as $$
begin
  return coalesce(nullif(nullif(pg_catalog.current_setting('role', true), ''), 'none'), session_user::text);
end;
$$;
comment on function private.acting_role() is 'The database role the caller acts as, also inside definer functions.';

create function private.is_trusted() returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return private.acting_role() = 'service_role'
    or pg_catalog.pg_has_role(
      private.acting_role(),
      (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'private'),
      'member'
    );
end;
$$;
comment on function private.is_trusted() is
  'True for servers and operators: service_role, and the owner of the schema on a direct connection.';
