-- What diagnosis found, so that it is known since when something is wrong, for how long it was, and whether it gets better.
--
-- A finding is a check, an entity and its id; it is open from the run that first found it until a run of that check no
-- longer does. Finding it again changes nothing, so that a hundred thousand findings that stay cost no writing.

create table public.diagnostic_runs (
  id bigint generated always as identity primary key,
  run_by uuid default private.caller_id(),
  run_at timestamptz not null default private.now()
);
create index diagnostic_runs_run_at on public.diagnostic_runs (run_at);
comment on table public.diagnostic_runs is 'Every time diagnosis ran; what it did is in check_results. Written by run_diagnostics and the scheduled run.';
comment on column public.diagnostic_runs.run_by is 'The login; null when a server did it.';

create table public.check_results (
  id bigint generated always as identity primary key,
  run_id bigint not null references public.diagnostic_runs (id) on delete cascade,
  check_name text not null,
  checked_at timestamptz not null default private.now(),
  looked_at bigint,
  found bigint not null default 0,
  appeared bigint not null default 0,
  resolved bigint not null default 0,
  failure text,
  constraint result_counts_are_not_below_zero check (least(looked_at, found, appeared, resolved) >= 0)
);
create index check_results_run on public.check_results (run_id);
create index check_results_check on public.check_results (check_name, id);
comment on table public.check_results is 'What each check said in each run: the trend. Ids rise in the order in which the checks looked.';
comment on column public.check_results.check_name is 'The check; it stays when a later version no longer has that check.';
comment on column public.check_results.looked_at is 'How many rows it looked at; null where it looks at no table.';
comment on column public.check_results.found is 'About how many entities it found something, however many of these were kept.';
comment on column public.check_results.appeared is 'About how many it had found nothing the time before.';
comment on column public.check_results.resolved is 'How many findings were no longer there.';
comment on column public.check_results.failure is 'Why it could not be run; null when it was.';

-- No keys to the results: they are cleaned up, and checking two hundred thousand keys would take longer than the checks.
create table public.findings (
  id bigint generated always as identity primary key,
  check_name text not null,
  entity text not null,
  entity_id text not null,
  severity text not null,
  message text not null,
  detail jsonb not null default '{}',
  first_result_id bigint not null,
  first_seen_at timestamptz not null default private.now(),
  last_result_id bigint,
  last_seen_at timestamptz,
  resolved_at timestamptz,
  fix_id bigint references public.fix_runs (id) on delete set null,
  constraint finding_severity_is_known check (severity in ('critical', 'error', 'warning', 'info')),
  constraint resolved_findings_were_seen_last check (
    (resolved_at is null) = (last_seen_at is null) and (resolved_at is null) = (last_result_id is null)
  ),
  constraint only_resolved_findings_name_a_fix check (fix_id is null or resolved_at is not null)
);
-- One of a kind is open at a time.
create unique index findings_one_open on public.findings (check_name, entity, entity_id) where resolved_at is null;
create index findings_resolved_at on public.findings (resolved_at) where resolved_at is not null;
create index findings_fix on public.findings (fix_id) where fix_id is not null;
comment on table public.findings is 'What checks found: open ones, and those that were put right. See finding_history for when each was last seen.';
comment on column public.findings.entity is 'The table, or the kind of thing in the catalogue.';
comment on column public.findings.entity_id is 'Which one, as the check names it.';
comment on column public.findings.severity is 'The check''s, or critical where the check itself could not be run.';
comment on column public.findings.message is 'The sentence as it was said last; of several about one entity the first.';
comment on column public.findings.first_result_id is 'The result of the check that found it first.';
comment on column public.findings.last_result_id is 'The last result that found it; null while it is open: then every later one did.';
comment on column public.findings.last_seen_at is 'When it was found last; null while it is open: then it is when the check last ran.';
comment on column public.findings.resolved_at is 'When the check no longer found it; null while it is open.';
comment on column public.findings.fix_id is 'The repair that put it right; null where a person did, or nobody knows.';

create table private.auto_fix_tries (
  check_name text primary key references public.integrity_checks (name) on delete cascade on update cascade,
  tries integer not null,
  last_tried_at timestamptz not null default private.now(),
  constraint tries_are_counted_from_one check (tries > 0)
);
comment on table private.auto_fix_tries is 'How often in a row the scheduled run repaired what a check found and something was left over.';
