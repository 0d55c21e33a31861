-- The outbox: what leaves the house, by email, SMS, WhatsApp or as a webhook.
--
-- A rule that wants to tell somebody outside inserts a row, in the transaction of what it tells about: both are there or
-- neither is. A dispatcher (functions/dispatch) claims what is due under a lease, sends it, and reports. When it dies
-- instead, its leases run out and the messages are claimed again, with the same id, by which the provider knows them: a
-- message goes out at least once, and counts once.
--
-- The life of a message: queued; sending, while somebody holds its lease; then sent, or queued again to be tried later, or
-- failed: a dead letter, kept until somebody queues it again. The trigger below holds to that whoever writes.
--
-- Each provider has a breaker. After a few failures in a row it opens: nothing is handed out for it until its time is up,
-- then one message to try with, and what becomes of that closes or opens it again. A webhook's provider is its host, so
-- that one that is down keeps nobody else's waiting.

create table public.outbox (
  id uuid primary key default gen_random_uuid(),
  channel text not null,
  provider text not null generated always as (
    case channel when 'webhook' then 'webhook ' || lower(substring(recipient from '^https?://([^/?#]+)')) else channel end
  ) stored,
  recipient text not null,
  subject text,
  body text not null,
  kind text not null,
  dedupe_key text,
  status text not null default 'queued',
  attempts integer not null default 0,
  next_attempt_at timestamptz not null,
  expires_at timestamptz not null,
  lease uuid,
  leased_until timestamptz,
  provider_message_id text,
  last_error text,
  created_at timestamptz not null,
  sent_at timestamptz,
  failed_at timestamptz,
  constraint outbox_one_dedupe_key unique (dedupe_key),
  constraint channel_is_known check (channel in ('email', 'sms', 'whatsapp', 'webhook')),
  constraint status_is_known check (status in ('queued', 'sending', 'sent', 'failed')),
  constraint kind_is_snake_case check (kind ~ '^[a-z]+(_[a-z0-9]+)*$'),
  constraint emails_have_a_subject check (channel <> 'email' or subject is not null),
  constraint subject_is_one_line check (length(subject) between 1 and 300 and subject !~ '[[:cntrl:]]'),
  constraint body_is_bounded check (length(body) between 1 and 100000),
  constraint dedupe_key_is_bounded check (length(dedupe_key) between 1 and 300),
  constraint reports_are_bounded check (length(last_error) <= 1000 and length(provider_message_id) <= 300),
  constraint attempts_are_not_below_zero check (attempts >= 0),
  constraint sending_means_leased check ((status = 'sending') = (leased_until is not null) and (status <> 'sending' or lease is not null)),
  constraint sent_says_when check ((status = 'sent') = (sent_at is not null)),
  constraint failed_says_when_and_why check ((status = 'failed') = (failed_at is not null) and (status <> 'failed' or last_error is not null))
);
-- What claiming reads: of one provider, what is queued or whose lease has run out, the longest due first.
create index outbox_due on public.outbox (provider, (coalesce(leased_until, next_attempt_at))) where status in ('queued', 'sending');
create index outbox_failed on public.outbox (failed_at) where status = 'failed';
create index outbox_sent on public.outbox (sent_at) where status = 'sent';
create index outbox_created_at on public.outbox (created_at);
create index outbox_recipient on public.outbox (recipient);
comment on table public.outbox is
  'Messages to the outside. Rules insert channel, recipient, subject, body, kind and dedupe_key; everything else follows, through claim_outbox, complete_outbox and fail_outbox.';
comment on column public.outbox.id is 'What the provider is told as the idempotency key, so that a message sent twice counts once.';
comment on column public.outbox.channel is 'email, sms, whatsapp or webhook.';
comment on column public.outbox.provider is 'Whose breaker counts: the channel, and for a webhook its host.';
comment on column public.outbox.recipient is 'An email address, a phone number in E.164 form, or for a webhook its URL.';
comment on column public.outbox.body is 'Plain text; for a webhook the JSON document that is posted.';
comment on column public.outbox.kind is 'What it is about, such as assignment_given.';
comment on column public.outbox.dedupe_key is 'What only one message may say for as long as it is kept: insert with on conflict (dedupe_key) do nothing.';
comment on column public.outbox.status is 'queued, sending, sent or failed (a dead letter).';
comment on column public.outbox.attempts is 'How often it was handed out; refusals for being too fast do not count.';
comment on column public.outbox.next_attempt_at is 'Not before then; a message may be queued for later.';
comment on column public.outbox.expires_at is 'After then nobody wants to hear it any more, and it is not sent; outbox_hours after it was queued, where nobody says.';
comment on column public.outbox.lease is 'Who claimed it last is told this, and reports with it.';
comment on column public.outbox.leased_until is 'From then on somebody else may claim it; null unless it is being sent.';
comment on column public.outbox.provider_message_id is 'What the provider calls it.';
comment on column public.outbox.last_error is 'What went wrong last.';

create table public.outbox_providers (
  name text primary key,
  channel text not null,
  state text not null default 'closed',
  failures integer not null default 0,
  openings integer not null default 0,
  retry_at timestamptz,
  last_error text,
  changed_at timestamptz not null,
  constraint channel_is_known check (channel in ('email', 'sms', 'whatsapp', 'webhook')),
  constraint state_is_known check (state in ('closed', 'open', 'half_open')),
  constraint counts_are_not_below_zero check (failures >= 0 and openings >= 0),
  constraint closed_for_a_while check (state = 'closed' or retry_at is not null)
);
comment on table public.outbox_providers is 'The breaker of each provider that messages went to. Written by the functions that claim and report.';
comment on column public.outbox_providers.state is 'closed: messages flow; open: none are handed out; half_open: one is on its way, to try.';
comment on column public.outbox_providers.failures is 'How many attempts failed in a row.';
comment on column public.outbox_providers.openings is 'How often in a row it opened without anything getting through; each time for twice as long.';
comment on column public.outbox_providers.retry_at is 'Nothing is handed out before then: the breaker is open, or the provider said it was too fast.';
comment on column public.outbox_providers.last_error is 'What went wrong last.';
