-- 20_time: the time ledger. No one is ever in two places.
--
-- `resources` is everything that cannot be in two places: a person, a place, a piece of equipment. `claims` says
-- when each of them is taken, and one exclusion constraint on it carries the promise: two claims of one resource may
-- not overlap unless they share a key. Everything else about time (what is free, what clashes, what happens this
-- month) is a query over this table.
--
-- Nobody writes claims. They are derived, in the same transaction, from the rows people do write: meetings, weekly
-- rules and the source tables of later modules. A happening is one row of a source table; its claims share a key of
-- their own (a weekly rule is a happening on each of its dates). Happenings that are meant to overlap (two cross-listed sections in one room) form an override group and
-- share the group's key, so that a stranger is still refused.
--
-- The life of a use of time: a happening is written; its claims are inserted or the write is refused with what
-- stands in the way; the happening moves, and its claims move; it is cancelled, and its time is free again.
-- A weekly rule never ends by itself, so it is claimed only up to a horizon that is kept per resource and moves on
-- day by day. Nothing at all can be claimed beyond a resource's horizon, so nothing can get in a rule's way there.
--
-- Wall-clock date, time and IANA zone are the truth; instants are derived from them (private.local_to_instant).
-- All ranges are half-open and finite: back to back is free.
--
-- Lock order, for whoever changes something here: overrides, then exceptions by rule and date, then source rows by table
-- and id, then resources by id, then claims by start and resource (filled resource by resource, the constraint's index
-- takes a fifth longer and is a fifth larger). Whoever makes a single claim locks no resource: the constraint decides.

create table public.locations (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  address text,
  capacity integer,
  time_zone text,
  is_active boolean not null default true,
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  constraint address_is_short check (length(address) <= 1000),
  constraint capacity_is_not_negative check (capacity >= 0),
  constraint time_zone_exists check (private.is_time_zone(time_zone))
);
create unique index locations_one_name on public.locations (lower(name));
comment on table public.locations is 'Places where things happen, for every module. Each is a resource with the same id.';
comment on column public.locations.capacity is 'How many people fit in; null when nobody counted.';
comment on column public.locations.time_zone is 'The IANA zone of its clock; null is the organisation''s.';

create table public.resources (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  name text not null,
  profile_id uuid unique references public.user_profiles (id) on delete restrict,
  location_id uuid unique references public.locations (id) on delete cascade,
  is_active boolean not null default true,
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint kind_is_known check (kind in ('person', 'place', 'equipment')),
  constraint person_has_a_profile check ((kind = 'person') = (profile_id is not null)),
  constraint place_has_a_location check ((kind = 'place') = (location_id is not null)),
  constraint shares_the_id_of_what_it_stands_for check (id = coalesce(profile_id, location_id, id)),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200)
);
create index resources_kind_name on public.resources (kind, name);
comment on table public.resources is 'Everything that cannot be in two places at once: people who teach or work, places, equipment.';
comment on column public.resources.id is 'The id of the profile or location it stands for; equipment has its own.';
comment on column public.resources.kind is 'person, place or equipment.';
comment on column public.resources.name is 'What it is called; follows the profile or location.';

create table public.resource_horizons (
  resource_id uuid primary key references public.resources (id) on delete cascade,
  claimed_until timestamptz not null,
  constraint claimed_until_is_finite check (isfinite(claimed_until))
);
comment on table public.resource_horizons is
  'Until when each resource''s weekly rules are claimed. Nothing can be claimed beyond; moving it on claims what the rules promise.';

create table public.claims (
  resource_id uuid not null references public.resources (id) on delete restrict,
  during tstzrange not null,
  share_key uuid not null,
  source_table text not null,
  source_id uuid not null,
  occurs_on date not null,
  kind text not null,
  title text not null,
  -- In this order it also answers which claims a happening has, and who takes part on a date; the next one's index
  -- serves whoever looks by resource.
  primary key (source_id, source_table, occurs_on, resource_id),
  constraint nobody_is_in_two_places exclude using gist (resource_id with =, during with &&, share_key with <>),
  constraint during_is_half_open_and_finite check (
    not isempty(during) and lower_inc(during) and not upper_inc(during)
    and coalesce(isfinite(lower(during)) and isfinite(upper(during)), false)
  ),
  constraint during_is_at_most_31_days check (
    isfinite(lower(during)) and isfinite(upper(during)) and upper(during) - lower(during) <= interval '31 days'
  ),
  constraint during_is_between_1970_and_2200 check (
    lower(during) >= timestamptz '1969-12-31 00:00+00' and upper(during) <= timestamptz '2200-01-02 00:00+00'
  )
);
comment on table public.claims is
  'Who and what is taken when, derived from the source tables; the one constraint nobody_is_in_two_places carries the promise.';
comment on column public.claims.during is 'Half-open range of instants; dates of 1970 to 2199 where it is, hence a day more either side.';
comment on column public.claims.share_key is 'Claims with one key may overlap: those of one override group. Else each happening, and each date of a rule, has its own.';
comment on column public.claims.source_table is 'The table in public the happening is a row of.';
comment on column public.claims.source_id is 'The happening''s id there; for a recurring one, the weekly rule''s.';
comment on column public.claims.occurs_on is 'The local date the happening is listed under; a moved occurrence keeps the date it was moved from.';
comment on column public.claims.kind is 'What kind of happening it is, in the words of its module.';
comment on column public.claims.title is 'What the happening is called, so that a refusal can name it.';

create table public.overrides (
  id uuid primary key default gen_random_uuid(),
  reason text not null,
  granted_by uuid references auth.users (id) on delete set null,
  granted_at timestamptz not null default private.now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  constraint reason_is_given check (reason is not distinct from private.clean_text(reason) and length(reason) <= 1000)
);
create index overrides_granted_by on public.overrides (granted_by);
comment on table public.overrides is 'Groups of happenings that may overlap each other, each with who allowed it and why.';
comment on column public.overrides.expires_at is 'Happenings that start from then on may no longer overlap; null is never.';
comment on column public.overrides.revoked_at is 'When it was taken back; happenings that start from then on may no longer overlap.';

create table public.override_members (
  override_id uuid not null references public.overrides (id) on delete cascade,
  source_table text not null,
  source_id uuid not null,
  primary key (source_id, source_table)
);
create index override_members_override on public.override_members (override_id);
comment on table public.override_members is 'The happenings of each override group; a happening is in at most one.';
comment on column public.override_members.source_table is 'The table in public the happening is a row of, such as meetings or weekly_rules.';
comment on column public.override_members.source_id is 'The happening''s id there.';

create table public.weekly_rules (
  id uuid primary key default gen_random_uuid(),
  title text not null,
  kind text not null default 'weekly',
  weekday smallint not null,
  start_time time not null,
  end_time time not null,
  time_zone text not null,
  effective daterange not null,
  source_table text,
  source_id uuid,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint title_is_given check (title is not distinct from private.clean_text(title) and length(title) <= 500),
  constraint kind_is_snake_case check (kind ~ '^[a-z]+(_[a-z]+)*$'),
  constraint weekday_is_sunday_0_to_saturday_6 check (weekday between 0 and 6),
  constraint start_is_before_end check (start_time < end_time),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint effective_has_a_first_day check (
    not isempty(effective) and coalesce(isfinite(lower(effective)), false) and lower(effective) >= date '1970-01-01'
  ),
  constraint effective_ends_before_2200 check (upper_inf(effective) or upper(effective) <= date '2200-01-01'),
  constraint source_is_whole check ((source_table is null) = (source_id is null))
);
create index weekly_rules_source on public.weekly_rules (source_id, source_table);
create index weekly_rules_created_by on public.weekly_rules (created_by);
comment on table public.weekly_rules is
  'What happens every week at one wall-clock time in one zone; claimed date by date up to each resource''s horizon.';
comment on column public.weekly_rules.weekday is '0 Sunday to 6 Saturday.';
comment on column public.weekly_rules.end_time is 'On the same day; 24:00 is midnight.';
comment on column public.weekly_rules.effective is 'The dates it holds for, upper bound excluded; without an upper bound it goes on.';
comment on column public.weekly_rules.source_table is 'The table of a module this rule was made from, if it was.';

create table public.weekly_rule_resources (
  rule_id uuid not null references public.weekly_rules (id) on delete cascade,
  resource_id uuid not null references public.resources (id) on delete restrict,
  primary key (rule_id, resource_id)
);
create index weekly_rule_resources_resource on public.weekly_rule_resources (resource_id);
comment on table public.weekly_rule_resources is 'Who and what each weekly rule takes.';

create table public.weekly_rule_exceptions (
  rule_id uuid not null references public.weekly_rules (id) on delete cascade,
  occurs_on date not null,
  kind text not null,
  moved_to_date date,
  moved_start_time time,
  moved_end_time time,
  taken_by_table text,
  taken_by_id uuid,
  reason text,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  primary key (rule_id, occurs_on),
  constraint kind_is_known check (kind in ('cancelled', 'moved', 'taken_over')),
  constraint moved_says_where_to check (
    (kind = 'moved') = (moved_to_date is not null) and (kind = 'moved') = (moved_start_time is not null)
    and (kind = 'moved') = (moved_end_time is not null)
  ),
  constraint moved_start_is_before_end check (moved_start_time < moved_end_time),
  constraint taken_over_says_by_what check (
    (kind = 'taken_over') = (taken_by_id is not null) and (kind = 'taken_over') = (taken_by_table is not null)
  ),
  constraint reason_is_short check (length(reason) <= 1000)
);
create index weekly_rule_exceptions_taken_by on public.weekly_rule_exceptions (taken_by_id) where taken_by_id is not null;
create index weekly_rule_exceptions_created_by on public.weekly_rule_exceptions (created_by);
comment on table public.weekly_rule_exceptions is
  'Single dates of a weekly rule that are cancelled, moved, or taken over by a happening of their own.';
comment on column public.weekly_rule_exceptions.occurs_on is 'The date the rule would have had it.';
comment on column public.weekly_rule_exceptions.moved_to_date is 'The date it is held on instead, in the rule''s zone.';
comment on column public.weekly_rule_exceptions.taken_by_table is 'The table in public of the happening that stands in for this date.';

create table public.meetings (
  id uuid primary key default gen_random_uuid(),
  title text not null,
  kind text not null default 'meeting',
  date date not null,
  start_time time not null,
  end_time time not null,
  ends_on date,
  time_zone text,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  status text not null default 'scheduled',
  course text,
  section text,
  external_ref text,
  capacity integer,
  enrolled integer,
  rule_id uuid references public.weekly_rules (id) on delete set null,
  occurs_on date,
  notes text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint title_is_given check (title is not distinct from private.clean_text(title) and length(title) <= 500),
  constraint kind_is_snake_case check (kind ~ '^[a-z]+(_[a-z]+)*$'),
  constraint status_is_known check (status in ('scheduled', 'cancelled')),
  constraint start_is_before_end check (starts_at < ends_at),
  constraint lasts_at_most_31_days check (ends_at - starts_at <= interval '31 days'),
  constraint is_between_1970_and_2200 check (date >= date '1970-01-01' and coalesce(ends_on, date) < date '2200-01-01'),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint rule_says_which_date check (rule_id is null or occurs_on is not null),
  constraint capacity_is_not_negative check (capacity >= 0),
  constraint enrolled_is_not_negative check (enrolled >= 0),
  constraint texts_are_short check (
    length(course) <= 200 and length(section) <= 200 and length(external_ref) <= 200 and length(notes) <= 10000
  )
);
create index meetings_starts_at on public.meetings (starts_at);
create index meetings_external_ref on public.meetings (external_ref, date);
create index meetings_rule on public.meetings (rule_id) where rule_id is not null;
create index meetings_created_by on public.meetings (created_by);
comment on table public.meetings is
  'One-off happenings of any kind: timetabled classes from elsewhere, exams, staff meetings. Their participants are resources.';
comment on column public.meetings.date is 'The local date it starts on.';
comment on column public.meetings.ends_on is 'The local date it ends on, when that is not the date it starts on.';
comment on column public.meetings.time_zone is 'The IANA zone of date and times; left out, it becomes the organisation''s.';
comment on column public.meetings.starts_at is 'The instant it starts, worked out from date, start_time and time_zone.';
comment on column public.meetings.ends_at is 'The instant it ends, worked out from ends_on, end_time and time_zone.';
comment on column public.meetings.external_ref is 'Its identifier where it came from, such as a registrar''s course reference number.';
comment on column public.meetings.rule_id is 'The weekly rule of which it takes over one occurrence, if it does.';
comment on column public.meetings.occurs_on is 'The date of the occurrence it takes over.';

create table public.meeting_participants (
  meeting_id uuid not null references public.meetings (id) on delete cascade,
  resource_id uuid not null references public.resources (id) on delete restrict,
  primary key (meeting_id, resource_id)
);
create index meeting_participants_resource on public.meeting_participants (resource_id);
comment on table public.meeting_participants is 'Who and what each meeting takes: people, the place, equipment.';
