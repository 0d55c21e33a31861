-- Alerts: what somebody has to look at. One open alert a kind and subject: what goes on raising it only counts.

create table public.alerts (
  id bigint generated always as identity primary key,
  kind text not null,
  subject text not null default '',
  severity text not null,
  message text not null,
  details jsonb not null default '{}',
  times integer not null default 1,
  raised_at timestamptz not null default private.now(),
  last_raised_at timestamptz not null default private.now(),
  acknowledged_at timestamptz,
  acknowledged_by uuid references auth.users (id) on delete set null,
  resolved_at timestamptz,
  resolved_by uuid references auth.users (id) on delete set null,
  constraint kind_is_snake_case check (kind ~ '^[a-z]+(_[a-z0-9]+)*$'),
  constraint severity_is_known check (severity in ('critical', 'error', 'warning', 'info')),
  constraint message_is_given check (message is not distinct from private.clean_text(message) and length(message) <= 1000),
  constraint details_are_an_object check (jsonb_typeof(details) = 'object'),
  constraint times_are_counted_from_one check (times > 0),
  constraint acknowledged_by_comes_with_a_time check (acknowledged_by is null or acknowledged_at is not null),
  constraint resolved_by_comes_with_a_time check (resolved_by is null or resolved_at is not null)
);
create unique index alerts_one_open on public.alerts (kind, subject) where resolved_at is null;
create index alerts_raised_at on public.alerts (raised_at);
create index alerts_acknowledged_by on public.alerts (acknowledged_by);
create index alerts_resolved_by on public.alerts (resolved_by);
comment on table public.alerts is 'What somebody has to look at: raised by jobs and checks, acknowledged, and resolved by whoever or whatever put it right.';
comment on column public.alerts.kind is 'What went wrong, such as job_failed.';
comment on column public.alerts.subject is 'With what, such as the job''s name; one alert a kind and subject is open at a time.';
comment on column public.alerts.severity is 'critical, error, warning or info.';
comment on column public.alerts.times is 'How often it was raised while it was open.';
comment on column public.alerts.acknowledged_by is 'Who is looking at it; null when a server said so.';
comment on column public.alerts.resolved_by is 'Who put it right; null when it was seen to be right again.';
