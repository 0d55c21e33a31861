alter table public.notification_kinds enable row level security;
alter table public.notifications enable row level security;
alter table public.notification_preferences enable row level security;

grant select on public.notification_kinds to authenticated, service_role;
create policy "everyone sees what there is to hear of" on public.notification_kinds for select to authenticated using (true);

-- Everybody's own, whoever they are. A server may tell people something; read_at is for mark_notifications_read.
grant select on public.notifications to authenticated, service_role;
grant insert (recipient_id, kind, title, body, source_table, source_id) on public.notifications to service_role;
create policy "people see what they were told" on public.notifications for select to authenticated
  using (recipient_id = (select private.current_profile_id()));

grant select on public.notification_preferences to authenticated, service_role;
create policy "people see their preferences" on public.notification_preferences for select to authenticated
  using (profile_id = (select private.current_profile_id()));

-- What 00_platform keeps, now that it is known who may see it.
grant select on public.outbox, public.outbox_providers to authenticated;
grant insert (profile_id) on public.outbox to service_role;
create policy "holders of read:outbox see the messages" on public.outbox for select to authenticated
  using ((select private.has_permission('read:outbox')));
create policy "holders of read:outbox see the providers" on public.outbox_providers for select to authenticated
  using ((select private.has_permission('read:outbox')));

grant execute on function
  public.claim_outbox(text[], integer, integer), private.claim_outbox(text[], integer, integer),
  public.complete_outbox(uuid, uuid, text), private.complete_outbox(uuid, uuid, text),
  public.fail_outbox(uuid, uuid, text, text, integer), private.fail_outbox(uuid, uuid, text, text, integer),
  public.requeue_outbox(uuid[], text), private.requeue_outbox(uuid[])
  to authenticated, service_role;

-- For people only: a server has no notifications of its own.
grant execute on function
  public.mark_notifications_read(uuid[], boolean, text), private.mark_notifications(uuid[], boolean),
  public.set_notification_preferences(jsonb, text), private.change_preferences(jsonb)
  to authenticated;
