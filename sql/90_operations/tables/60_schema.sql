-- What the schema was like when it was last loaded or migrated, so that diagnosis can tell what is gone or different, and
-- `classbase fix schema` can put it back. The last file of the module records it.

create table private.shipped_objects (
  kind text not null,
  name text not null,
  relation text,
  definition text,
  statement text,
  removal text,
  primary key (kind, name)
);
comment on table private.shipped_objects is
  'Every table, column, constraint, index, trigger, function, view, policy, grant and registry row there was when the schema was last loaded or migrated.';
comment on column private.shipped_objects.name is 'What it is called, within its kind, such as t10_keep_version on public.settings.';
comment on column private.shipped_objects.relation is 'The table or view it belongs to; null where it belongs to none.';
comment on column private.shipped_objects.definition is 'What it says, as this server writes it; two that say the same are the same.';
comment on column private.shipped_objects.statement is 'The SQL that makes it; null where that would bring back an empty shell only.';
comment on column private.shipped_objects.removal is 'The SQL that takes one away that differs, where it cannot be replaced.';
