-- The roles of the API, as Supabase has them. PostgREST connects as `authenticator`, which has no rights of its own and
-- becomes one of the other three, by what the caller's token says. `supabase_auth_admin` is who the auth service
-- is: it owns the schema `auth` and calls the access token hook.
--
-- Roles belong to the whole server, so two databases that are prepared at the same moment may both find a role missing;
-- the loser's "already exists" is then as good as a success.
do $$
declare
  v_role record;
begin
  for v_role in
    select *
    from (values
      ('anon', 'nologin noinherit', '3s'),
      ('authenticated', 'nologin noinherit', '8s'),
      ('service_role', 'nologin noinherit bypassrls', null),
      ('supabase_auth_admin', 'nologin noinherit', null),
      ('authenticator', 'login noinherit', '8s')
    ) as wanted (name, options, statement_timeout)
    where not exists (select from pg_catalog.pg_roles as existing where existing.rolname = wanted.name)
  loop
    begin
      execute format('create role %I %s', v_role.name, v_role.options);
      -- The hosted platform's limits: who exceeds them here would exceed them there.
      if v_role.statement_timeout is not null then
        execute format('alter role %I set statement_timeout = %L', v_role.name, v_role.statement_timeout);
      end if;
      if v_role.name = 'authenticator' then
        alter role authenticator set lock_timeout = '8s';
      end if;
    exception
      when duplicate_object or unique_violation then
        null;
    end;
  end loop;
end
$$;

do $$
declare
  v_member record;
begin
  for v_member in
    select wanted.granted
    from (values ('anon'), ('authenticated'), ('service_role')) as wanted (granted)
    where not exists (
      select
      from pg_catalog.pg_auth_members as m
      where m.roleid = wanted.granted::regrole and m.member = 'authenticator'::regrole
    )
  loop
    begin
      execute format('grant %I to authenticator', v_member.granted);
    exception
      when unique_violation then
        null;
    end;
  end loop;
end
$$;
