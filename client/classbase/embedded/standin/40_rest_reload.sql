-- On the platform PostgREST learns of every change to the schema by itself, through event triggers that notify it.
-- Only a superuser can make those; without them `notify pgrst, 'reload schema'` after a migration does the same.
do $$
begin
  if not (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then
    return;
  end if;

  if to_regprocedure('extensions.pgrst_ddl_watch()') is null then
    create function extensions.pgrst_ddl_watch() returns event_trigger language plpgsql as $function$
    declare
      v_command record;
    begin
      for v_command in select * from pg_event_trigger_ddl_commands() loop
        -- What a temporary table looks like is nobody's business but its session's.
        if v_command.schema_name is distinct from 'pg_temp' and v_command.command_tag <> 'COMMENT' then
          notify pgrst, 'reload schema';
          return;
        end if;
      end loop;
    end
    $function$;
  end if;

  if to_regprocedure('extensions.pgrst_drop_watch()') is null then
    create function extensions.pgrst_drop_watch() returns event_trigger language plpgsql as $function$
    declare
      v_object record;
    begin
      for v_object in select * from pg_event_trigger_dropped_objects() loop
        if not v_object.is_temporary and v_object.object_type in (
          'schema', 'table', 'foreign table', 'view', 'materialized view', 'function', 'trigger', 'type', 'rule'
        ) then
          notify pgrst, 'reload schema';
          return;
        end if;
      end loop;
    end
    $function$;
  end if;

  if not exists (select from pg_catalog.pg_event_trigger where evtname = 'pgrst_ddl_watch') then
    create event trigger pgrst_ddl_watch on ddl_command_end execute function extensions.pgrst_ddl_watch();
  end if;
  if not exists (select from pg_catalog.pg_event_trigger where evtname = 'pgrst_drop_watch') then
    create event trigger pgrst_drop_watch on sql_drop execute function extensions.pgrst_drop_watch();
  end if;
end
$$;
