-- Notifications: what people are told. A rule inserts a row for each person it has news for, in the transaction that makes
-- the news. They read it here; by their preferences it is queued to the outbox as well.

create table public.notification_kinds (
  name text primary key,
  module text not null,
  description text not null,
  default_channels text[] not null default '{}',
  constraint name_is_snake_case check (name ~ '^[a-z]+(_[a-z0-9]+)*$'),
  constraint channels_reach_people check (default_channels <@ array['email', 'sms', 'whatsapp'] and array_position(default_channels, null) is null)
);
comment on table public.notification_kinds is 'What people can be told about. Modules add rows in reference.sql.';
comment on column public.notification_kinds.description is 'When it is sent, as people read it who choose whether they want it.';
comment on column public.notification_kinds.default_channels is
  'How it leaves the house for who did not choose otherwise: email, sms, whatsapp. Whatever they choose, it can be read in notifications.';

create table public.notifications (
  id uuid primary key default gen_random_uuid(),
  recipient_id uuid not null references public.user_profiles (id) on delete cascade,
  kind text not null references public.notification_kinds (name) on update cascade on delete restrict,
  title text not null,
  body text not null,
  source_table text,
  source_id text,
  read_at timestamptz,
  created_at timestamptz not null default private.now(),
  constraint title_is_one_line check (length(title) between 1 and 300 and title !~ '[[:cntrl:]]'),
  constraint body_is_bounded check (length(body) between 1 and 20000),
  constraint source_is_named check (source_id is null or source_table is not null)
);
create index notifications_recipient on public.notifications (recipient_id, created_at desc);
create index notifications_unread on public.notifications (recipient_id) where read_at is null;
create index notifications_kind on public.notifications (kind);
create index notifications_created_at on public.notifications (created_at);
comment on table public.notifications is 'What each person was told; they see their own. Written by rules, marked as read with mark_notifications_read.';
comment on column public.notifications.title is 'One line; the subject of an email.';
comment on column public.notifications.body is 'Plain text, with local dates and times.';
comment on column public.notifications.source_table is 'What it is about: a table in public.';
comment on column public.notifications.source_id is 'Which row of it; null where it is about several.';
comment on column public.notifications.read_at is 'When they read it; null until then.';

create table public.notification_preferences (
  profile_id uuid not null references public.user_profiles (id) on delete cascade,
  kind text not null references public.notification_kinds (name) on update cascade on delete cascade,
  channel text not null,
  is_wanted boolean not null,
  updated_at timestamptz not null default private.now(),
  primary key (profile_id, kind, channel),
  constraint channel_reaches_people check (channel in ('email', 'sms', 'whatsapp'))
);
create index notification_preferences_kind on public.notification_preferences (kind);
comment on table public.notification_preferences is 'Where somebody wants to hear of something otherwise than by default. Written through set_notification_preferences.';

-- Whose message it is, so that it goes when they are erased.
alter table public.outbox add column profile_id uuid references public.user_profiles (id) on delete cascade;
create index outbox_profile on public.outbox (profile_id);
comment on column public.outbox.profile_id is 'The person it goes to; found by the address where nobody says, null where that is nobody''s here.';
create index user_profiles_phone on public.user_profiles (phone) where phone is not null;
