-- 90_operations: know, mend, undo.
--
-- Modules register checks (public.integrity_checks) with a function private.check_<name>() that finds, and where the
-- repair is clear private.fix_<name>(text[]) that mends. Every repair is a row of fix_runs. Whatever it changes, itself
-- or through triggers, is kept in fix_changes as it was before and after, and undo_fix() puts it back.
--
-- Promises: no repair changes or deletes a row of public whose image is not kept; an undo puts back exactly what its
-- repair changed, all or nothing, and only while these rows still are as the repair left them. Constraints hold for an
-- undo as for everybody.

create table public.fix_runs (
  id bigint generated always as identity primary key,
  check_name text not null,
  faults integer not null,
  fixed integer not null default 0,
  remaining integer not null default 0,
  changed_rows integer not null default 0,
  undoes bigint references public.fix_runs (id) on delete restrict,
  applied_by uuid default private.caller_id(),
  applied_at timestamptz not null default private.now(),
  forgotten_at timestamptz,
  constraint fix_runs_undone_once unique (undoes),
  constraint counts_are_not_below_zero check (faults >= 0 and fixed >= 0 and remaining >= 0 and changed_rows >= 0)
);
comment on table public.fix_runs is 'Every time a check''s repair ran, and every time that was undone. Written by apply_fixes and undo_fix only.';
comment on column public.fix_runs.check_name is 'The check whose findings it mended.';
comment on column public.fix_runs.faults is 'How many entities were at fault.';
comment on column public.fix_runs.fixed is 'How many of them no longer were, afterwards.';
comment on column public.fix_runs.remaining is 'How many still were: for these a person has to decide.';
comment on column public.fix_runs.changed_rows is 'How many rows it changed, those that followed through triggers included.';
comment on column public.fix_runs.undoes is 'The run this one undid; null for a repair.';
comment on column public.fix_runs.applied_by is 'The login; null when a server did it.';
comment on column public.fix_runs.forgotten_at is 'When its images were deleted, so that it cannot be undone any more; null while they are kept.';

create table private.fix_changes (
  id bigint generated always as identity primary key,
  fix_id bigint not null references public.fix_runs (id) on delete cascade,
  table_name text not null,
  row_key jsonb not null,
  before jsonb,
  after jsonb
);
create index fix_changes_fix on private.fix_changes (fix_id, table_name);
comment on table private.fix_changes is 'Every row a repair changed, as it was before and after. Deleted when somebody who is in it is erased.';
comment on column private.fix_changes.table_name is 'The table in public.';
comment on column private.fix_changes.row_key is 'The row''s primary key, by column.';
comment on column private.fix_changes.before is 'The row before the repair; null when there was none.';
comment on column private.fix_changes.after is 'The row after the repair; null when it is gone.';

create table private.open_fixes (
  fix_id bigint primary key references public.fix_runs (id) on delete cascade,
  transaction_id xid8 not null default pg_current_xact_id()
);
comment on table private.open_fixes is 'The repair a transaction is at, while it is at it. Without a row here no setting makes a trigger keep images.';
