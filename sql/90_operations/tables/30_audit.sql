-- The audit trail: who changed which row of which table, from what to what, in which transaction, when.
--
-- One generic trigger (private.record_changes) writes a row of audit_log for every row that a statement inserts, changes
-- or deletes. An insert keeps the row as it came, a delete the row as it was, an update what it changed, before and
-- after. Going back from the row as it is, change by change, gives the row at any instant: row_as_of().
--
-- Promises: what is written by anybody through any door is recorded, in the transaction that writes it; nothing
-- recorded is changed or deleted, with two exceptions: whole months go when they are older than audit_months_kept says,
-- and the contents of rows about a person go when that person is erased. A month without a partition stops nobody: its
-- rows go to private.audit_log_rest until it has one.

create sequence private.audit_log_ids;
comment on sequence private.audit_log_ids is 'Numbers the changes. Whoever changes a row holds it until the transaction ends, so the numbers of one row''s changes rise.';

-- The partitions are in private, where nothing is granted: whoever reads the log reads it here.
create table public.audit_log (
  id bigint not null default nextval('private.audit_log_ids'),
  at timestamptz not null default private.now(),
  transaction_id xid8 not null default pg_current_xact_id(),
  table_name text collate "C" not null,
  row_key text collate "C" not null,
  operation text not null,
  old_values jsonb,
  new_values jsonb,
  actor_id uuid default private.caller_id(),
  actor_role text not null default private.acting_role(),
  request_id text,
  ip_address text,
  fix_id bigint,
  forgotten_at timestamptz,
  primary key (at, id)
) partition by range (at);
-- Keys are drawn at random, so whoever writes many rows touches this index all over: by hashes it is a fourth of the size.
create index audit_log_row on public.audit_log using hash (row_key);
create index audit_log_actor on public.audit_log (actor_id, at) where actor_id is not null;
create index audit_log_table on public.audit_log using brin (table_name text_bloom_ops) with (autosummarize = on);
comment on table public.audit_log is
  'Every change of every audited table: only ever added to, by its triggers. Read by holders of read:audit, whatever else they may see. record_history() and row_as_of() read it by row.';
comment on column public.audit_log.id is 'Rises with the changes of one row; within one statement rows come in any order.';
comment on column public.audit_log.at is 'When the transaction that did it began.';
comment on column public.audit_log.transaction_id is 'What has the same number was done together.';
comment on column public.audit_log.table_name is 'The table in public.';
comment on column public.audit_log.row_key is 'The row''s primary key: its text, or a JSON object where it has several columns.';
comment on column public.audit_log.operation is 'insert, update or delete. A row that gets another key is one deleted and another inserted.';
comment on column public.audit_log.old_values is 'What was there: for an update the columns it changed, for a delete the row.';
comment on column public.audit_log.new_values is 'What is there since: for an update the columns it changed, for an insert the row.';
comment on column public.audit_log.actor_id is 'The login that did it; null for a server or an operator.';
comment on column public.audit_log.actor_role is 'The database role that acted, such as authenticated, service_role, or the role an operator connected as.';
comment on column public.audit_log.request_id is 'What the request calls itself, where it does (x-request-id). Not checked: its sender''s words.';
comment on column public.audit_log.ip_address is 'Where the request says it comes from (x-forwarded-for). Not checked: its sender''s words, unless a proxy sets them.';
comment on column public.audit_log.fix_id is 'The repair or undo of fix_runs that did it; null for everything else.';
comment on column public.audit_log.forgotten_at is 'When somebody it was about was erased, and its contents with them.';

create table private.audit_log_rest partition of public.audit_log default;
comment on table private.audit_log_rest is 'Changes in a month that has no partition yet; make_audit_partitions() moves them.';

create table private.audit_rules (
  table_name text primary key,
  left_out text[] not null default '{}',
  insert_condition text,
  not_audited_because text,
  constraint only_what_is_audited_leaves_columns_out check (not_audited_because is null or (left_out = '{}' and insert_condition is null)),
  constraint a_reason_has_words check (length(btrim(not_audited_because)) > 0)
);
comment on table private.audit_rules is 'Every table of public that is audited, and how; and those that are not, and why. Written by attach_audit and leave_unaudited.';
comment on column private.audit_rules.table_name is 'The table in public.';
comment on column private.audit_rules.left_out is 'Columns of which only is recorded that they changed.';
comment on column private.audit_rules.insert_condition is 'An SQL condition on the new row: other rows'' coming is not recorded, only what happens to them after. Null records all.';
comment on column private.audit_rules.not_audited_because is 'Why the table is not audited; null when it is.';
