-- Messages hold addresses and what people are told. They are written by rules, and by servers, which may queue but not say
-- what became of a message; that is for claim_outbox and its sisters. 10_people says which people may read them.

alter table public.outbox enable row level security;
alter table public.outbox_providers enable row level security;

grant select, insert (channel, recipient, subject, body, kind, dedupe_key, next_attempt_at, expires_at) on public.outbox to service_role;
grant select on public.outbox_providers to service_role;
