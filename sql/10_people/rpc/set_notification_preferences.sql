create function public.set_notification_preferences(p_preferences jsonb default '[]', p_idempotency_key text default null)
returns table (kind text, description text, channel text, is_wanted boolean, is_default boolean)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request constant jsonb := jsonb_build_object('preferences', p_preferences);
begin
  if private.answered_before('set_notification_preferences', p_idempotency_key, v_request) is null then
    perform private.change_preferences(coalesce(p_preferences, '[]'));
    perform private.remember_answer('set_notification_preferences', p_idempotency_key, v_request, 'true');
  end if;
  return query
    select k.name, k.description, c.c, coalesce(n.is_wanted, c.c = any(k.default_channels)), n.is_wanted is null
    from public.notification_kinds k
    cross join unnest(array['email', 'sms', 'whatsapp']) as c(c)
    left join public.notification_preferences n on n.profile_id = private.current_profile_id() and n.kind = k.name and n.channel = c.c
    order by k.name, c.c;
end;
$$;
comment on function public.set_notification_preferences(jsonb, text) is
  'Says of which notifications one hears through which channel: [{"kind", "channel", "is_wanted"}, …], is_wanted null for the default; an empty list changes nothing. Answers with all of one''s preferences as they are now, the defaults included. Raises forbidden for who is not signed in, invalid_input.';
