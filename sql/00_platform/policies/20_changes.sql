-- The table itself is for servers only: who may read which topic is decided topic by topic, once a call, and a policy
-- would decide it row by row. Nobody writes it over REST: rules do, as its owner.

alter table public.changes enable row level security;

grant select on public.changes to service_role;

grant execute on function public.changes_since(text, text[], integer) to anon, authenticated, service_role;
grant execute on function private.read_changes(text, text[], integer), private.may_read_topic(text), private.read_cursor(text)
  to anon, authenticated, service_role;
