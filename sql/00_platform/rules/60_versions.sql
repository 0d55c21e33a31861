-- Two people editing one row: the second is told.

create function private.keep_version() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if new.version is distinct from old.version then
    perform private.fail(
      'stale_version',
      format('This row was changed meanwhile: it is at version %s, not %s', old.version, new.version),
      'version',
      jsonb_build_object('table', tg_table_name, 'current', to_jsonb(old)),
      'Read the row again, apply the change to what is there now, and send its version.'
    );
  end if;
  new.version := old.version + 1;
  new.updated_at := private.now();
  return new;
end;
$$;
comment on function private.keep_version() is
  'Row trigger: counts changes in version and stamps updated_at; an update that names another version than the row''s is refused.';

create trigger t10_keep_version before update on public.settings
  for each row execute function private.keep_version();
