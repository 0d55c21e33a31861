-- Feeds are made and revoked through their functions, since only they know the secret. What is kept of it is shown to
-- nobody.

alter table public.calendar_feeds enable row level security;

grant select (id, name, resource_id, created_by, created_at, revoked_at) on public.calendar_feeds to authenticated, service_role;
create policy "people see the feeds they made, holders of read:calendar all" on public.calendar_feeds for select to authenticated
  using (created_by = (select private.caller_id()) or (select private.has_permission('read:calendar')));

grant execute on function public.create_calendar_feed(text, uuid, text), public.revoke_calendar_feed(uuid, text) to authenticated, service_role;
-- Each checks who asks first.
grant execute on function private.new_feed_token(), private.add_calendar_feed(text, uuid, text), private.renew_calendar_feed(uuid, text),
  private.end_calendar_feed(uuid)
  to authenticated, service_role;
-- The secret is the permission, so the Edge Function asks as nobody.
grant execute on function public.calendar_feed(text), private.feed_document(text) to anon, authenticated, service_role;
