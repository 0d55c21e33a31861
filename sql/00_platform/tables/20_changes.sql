-- The change feed: what rules tell the world that happened, in an order that never goes back.
--
-- A rule publishes by inserting (topic, event, payload) here, in the transaction that did the work; everything else
-- follows by itself. Readers ask private.read_changes with a cursor. A cursor is not a number but a snapshot of which
-- transactions were over when the reader last looked: what is new is what was not yet visible then and is now, however
-- the writers interleave. (By number alone a writer that commits late is skipped for ever; by transaction id one open
-- transaction holds up everybody.)
--
-- The life of a change: written by a rule, served to every reader whose cursor is older, deleted by a job after
-- changes_kept_days. The life of a feed: transaction ids mean something only to the server and the history they were
-- given in, so private.feed_history() names both, and changes and cursors carry that name. After a restore, a promotion
-- or a move the name is another: every old cursor is refused with cursor_expired, and older changes are served no more.
--
-- Promises: no change is skipped or served twice to a reader that follows its cursors; changes of one row come in the
-- order in which the row changed; nobody, the owner included, changes a change, deletes a young one or chooses its
-- number or transaction.

create table private.feed_topics (
  prefix text primary key,
  module text not null,
  description text not null,
  may_read text,
  is_public boolean not null default false,
  constraint prefix_is_snake_case check (prefix ~ '^[a-z]+(_[a-z0-9]+)*$'),
  constraint somebody_may_read check (is_public or may_read is not null),
  constraint may_read_is_private check (may_read ~ '^private\.[a-z_0-9]+$')
);
comment on table private.feed_topics is 'Every kind of topic, by what its topics begin with (prefix, or prefix:id), and who may read them.';
comment on column private.feed_topics.may_read is
  'A function of schema private that takes a topic''s id (empty where it has none) as text and says whether the caller may read it; null when everybody may.';
comment on column private.feed_topics.is_public is 'Whether callers who are not signed in may read such topics too, so far as may_read lets them: nothing personal goes there.';

-- No identity column: the trigger numbers rows, so that an explicit number changes nothing either.
create sequence private.changes_id;
comment on sequence private.changes_id is 'Numbers the changes. Rolled back ones leave gaps.';

create table public.changes (
  id bigint primary key,
  topic text not null,
  event text not null,
  payload jsonb not null default '{}',
  transaction_id xid8 not null,
  created_at timestamptz not null,
  history text not null,
  constraint topic_is_prefix_and_id check (topic ~ '^[a-z][a-z0-9_]*(:[A-Za-z0-9_.-]+)?$' and length(topic) <= 150),
  constraint event_is_kebab_case check (event ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$' and length(event) <= 100),
  constraint payload_is_an_object check (jsonb_typeof(payload) = 'object'),
  constraint payload_is_small check (length(payload::text) <= 8000)
);
-- For readers of some topics, and for readers of all.
create index changes_of_a_topic on public.changes (topic, transaction_id);
create index changes_of_a_transaction on public.changes (transaction_id);
create index changes_created_at on public.changes using brin (created_at);
comment on table public.changes is
  'The change feed, only ever added to. Rules insert topic, event and payload (without personal data); changes_since() reads it.';
comment on column public.changes.id is 'Counts the changes; larger is later for changes of one row, but a larger one may be visible first.';
comment on column public.changes.topic is 'What it is about: a prefix of private.feed_topics, or prefix:id.';
comment on column public.changes.event is 'What happened, such as session-update.';
comment on column public.changes.transaction_id is 'The transaction that wrote it, by which readers tell what is new.';
comment on column public.changes.history is 'What private.feed_history() was: where the transaction''s id means something.';

create table private.feed_state (
  is_only boolean primary key default true,
  history text,
  forgotten_transaction_id xid8 not null default '0',
  constraint is_the_only_one check (is_only)
);
comment on table private.feed_state is 'One row: up to where changes were deleted.';
comment on column private.feed_state.history is 'The history whose changes were deleted.';
comment on column private.feed_state.forgotten_transaction_id is 'The latest transaction of which a change was deleted: a cursor that may not have seen it is refused.';
