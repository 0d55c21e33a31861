-- Calendar feeds: secret addresses at which a calendar program finds what is planned, until they are revoked.

create table public.calendar_feeds (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  resource_id uuid references public.resources (id) on delete cascade,
  token_hash text not null,
  created_by uuid references auth.users (id) on delete cascade default private.caller_id(),
  created_at timestamptz not null default private.now(),
  revoked_at timestamptz,
  constraint calendar_feeds_one_token unique (token_hash),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  constraint token_hash_is_sha256 check (token_hash ~ '^[0-9a-f]{64}$')
);
create index calendar_feeds_resource on public.calendar_feeds (resource_id);
create index calendar_feeds_created_by on public.calendar_feeds (created_by);
comment on table public.calendar_feeds is
  'Calendars at secret addresses. Whoever has the address reads it, as long as it is not revoked and its maker may still see what it shows.';
comment on column public.calendar_feeds.name is 'What a calendar program calls it.';
comment on column public.calendar_feeds.resource_id is 'Whose or what room''s calendar it is; null is everything.';
comment on column public.calendar_feeds.token_hash is 'SHA-256 of the secret part of the address, in hexadecimal; the secret itself is kept nowhere.';
comment on column public.calendar_feeds.created_by is 'The login that made it, and whose rights it has; null when a server did.';
comment on column public.calendar_feeds.revoked_at is 'When it was revoked, for good.';

-- Later modules have happenings of their own to show.
create table private.feed_sources (
  name text primary key,
  module text not null,
  constraint name_is_snake_case check (name ~ '^[a-z][a-z0-9_]*$')
);
comment on table private.feed_sources is
  'What feeds show besides weekly rules: for each name a function private.feed_<name>_events(resource_id uuid, from_date date) that returns events.';
comment on column private.feed_sources.module is 'The module that ships it, such as 40_studio.';
