-- Availability: when somebody or something can be asked for at all, as against when they are taken. Hours are stated
-- week by week; time off is requested, decided and perhaps cancelled; closures shut one place or everything. None of
-- it claims time: free_slots() asks all three, and the setting availability_policy says whether claims outside them
-- are refused, warned about or ignored. Who stated no hours is not thereby free all day: it is unknown.
--
-- The life of time off: requested, then approved or refused by somebody else; cancelled before or after. Approving it
-- needs a word about what the person already does then: as long as there is such a thing, either the approval is
-- refused, or it is kept and each use becomes a cover request, open until somebody covers it or it is dropped.

create table public.availability_rules (
  id uuid primary key default gen_random_uuid(),
  resource_id uuid not null references public.resources (id) on delete cascade,
  weekday smallint not null,
  start_time time not null,
  end_time time not null,
  time_zone text not null,
  effective daterange not null default daterange(private.today(), null),
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint weekday_is_sunday_0_to_saturday_6 check (weekday between 0 and 6),
  constraint start_is_before_end check (start_time < end_time),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint effective_has_a_first_day check (
    not isempty(effective) and coalesce(isfinite(lower(effective)), false) and lower(effective) >= date '1970-01-01'
  ),
  constraint effective_ends_before_2200 check (upper_inf(effective) or upper(effective) <= date '2200-01-01'),
  constraint hours_do_not_overlap exclude using gist (
    resource_id with =, weekday with =, effective with &&,
    tsrange(date '2000-01-01' + start_time, date '2000-01-01' + end_time) with &&
  )
);
comment on table public.availability_rules is
  'The hours in which a person works or a place is open, by weekday. Without any row for a date it is unknown.';
comment on column public.availability_rules.weekday is '0 Sunday to 6 Saturday.';
comment on column public.availability_rules.end_time is 'On the same day; 24:00 is midnight.';
comment on column public.availability_rules.time_zone is
  'The IANA zone of the times; left out, it becomes the person''s or place''s, or else the organisation''s.';
comment on column public.availability_rules.effective is
  'The dates it holds for, upper bound excluded; without an upper bound it goes on.';

create table public.time_off (
  id uuid primary key default gen_random_uuid(),
  resource_id uuid not null references public.resources (id) on delete cascade,
  starts_on date not null,
  ends_on date not null,
  start_time time,
  end_time time,
  time_zone text not null,
  during tstzrange not null,
  status text not null default 'requested',
  reason text,
  keeps_claims boolean not null default false,
  decided_by uuid references auth.users (id) on delete set null,
  decided_at timestamptz,
  note text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint first_day_is_not_after_last check (starts_on <= ends_on),
  constraint lasts_at_most_two_years check (ends_on - starts_on < 731),
  constraint is_between_1970_and_2200 check (starts_on >= date '1970-01-01' and ends_on < date '2200-01-01'),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint during_is_half_open_and_finite check (
    not isempty(during) and lower_inc(during) and not upper_inc(during)
    and coalesce(isfinite(lower(during)) and isfinite(upper(during)), false)
  ),
  constraint status_is_known check (status in ('requested', 'approved', 'refused', 'cancelled')),
  constraint decided_has_a_time check (
    case status when 'requested' then decided_at is null when 'cancelled' then true else decided_at is not null end
  ),
  constraint only_approving_keeps_claims check (not keeps_claims or status in ('approved', 'cancelled')),
  constraint texts_are_short check (length(reason) <= 1000 and length(note) <= 1000)
);
create index time_off_resource_during on public.time_off using gist (resource_id, during);
create index time_off_waiting on public.time_off (created_at) where status = 'requested';
create index time_off_decided_by on public.time_off (decided_by);
create index time_off_created_by on public.time_off (created_by);
comment on table public.time_off is 'When somebody is away: requested, decided, perhaps cancelled. Only approved time off counts.';
comment on column public.time_off.ends_on is 'The last day off.';
comment on column public.time_off.start_time is 'When it begins on the first day; null is with the day.';
comment on column public.time_off.end_time is 'When it ends on the last day; null is with the day.';
comment on column public.time_off.time_zone is
  'The IANA zone of the dates and times; left out, it becomes the person''s or place''s, or else the organisation''s.';
comment on column public.time_off.during is 'Half-open range of instants, worked out from dates, times and zone.';
comment on column public.time_off.status is 'requested, approved, refused or cancelled.';
comment on column public.time_off.reason is 'Why, in the words of whoever asked; seen by that person and by those who decide.';
comment on column public.time_off.keeps_claims is
  'True when it was approved although the person is needed then: every such use became a cover request.';
comment on column public.time_off.decided_by is 'The user who approved or refused it; null when a server did.';
comment on column public.time_off.note is 'What whoever decided had to say about it.';

create table public.cover_requests (
  id uuid primary key default gen_random_uuid(),
  time_off_id uuid not null references public.time_off (id) on delete cascade,
  resource_id uuid not null references public.resources (id) on delete cascade,
  source_table text not null,
  source_id uuid not null,
  occurs_on date not null,
  status text not null default 'open',
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint one_request_a_use unique (time_off_id, source_table, source_id, occurs_on),
  constraint status_is_known check (status in ('open', 'covered', 'dropped'))
);
create index cover_requests_resource on public.cover_requests (resource_id, source_id, occurs_on);
create index cover_requests_open on public.cover_requests (occurs_on) where status = 'open';
comment on table public.cover_requests is
  'What somebody was needed for when their time off was approved: open until another does it or it is dropped.';
comment on column public.cover_requests.resource_id is 'Who is away.';
comment on column public.cover_requests.source_table is 'The table in public the happening is a row of.';
comment on column public.cover_requests.source_id is 'The happening''s id there; for a recurring one, the weekly rule''s.';
comment on column public.cover_requests.occurs_on is 'The date of the happening, as its claim has it.';
comment on column public.cover_requests.status is
  'open; covered, once the one who is away is no longer claimed for it; dropped, when no cover is needed after all.';

create table public.closures (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  starts_on date not null,
  ends_on date not null,
  location_id uuid references public.locations (id) on delete cascade,
  during tstzrange not null,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  constraint first_day_is_not_after_last check (starts_on <= ends_on),
  constraint lasts_at_most_two_years check (ends_on - starts_on < 731),
  constraint is_between_1970_and_2200 check (starts_on >= date '1970-01-01' and ends_on < date '2200-01-01'),
  constraint during_is_half_open_and_finite check (
    not isempty(during) and lower_inc(during) and not upper_inc(during)
    and coalesce(isfinite(lower(during)) and isfinite(upper(during)), false)
  )
);
create index closures_during on public.closures using gist (during);
create index closures_location on public.closures (location_id);
create index closures_created_by on public.closures (created_by);
comment on table public.closures is 'Holidays and other days on which one place, or everything, is closed.';
comment on column public.closures.ends_on is 'The last day closed.';
comment on column public.closures.location_id is 'The place that is closed; null is everything.';
comment on column public.closures.during is
  'Half-open range of instants: whole days where the place is, or where the organisation is when it has no zone of its own.';
