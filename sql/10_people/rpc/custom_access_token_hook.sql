create function private.roles_for_token(p_user_id text) returns jsonb
language sql stable security definer set search_path = ''
begin atomic
  select coalesce(jsonb_agg(r.role_name order by r.role_name), '[]')
  from public.user_roles r
  where r.user_id = (case when p_user_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_user_id::uuid end)
    and not private.is_deactivated(r.user_id);
end;
comment on function private.roles_for_token(text) is 'The names of the roles a login holds; none when deactivated or unknown.';

-- Supabase Auth calls this with its own role; its argument has to be called event.
create function public.custom_access_token_hook(event jsonb) returns jsonb
language sql stable set search_path = ''
return case
    when jsonb_typeof(event -> 'claims') = 'object' then jsonb_set(
      event,
      '{claims,app_metadata}',
      case when jsonb_typeof(event #> '{claims,app_metadata}') = 'object' then event #> '{claims,app_metadata}' else '{}' end
        || jsonb_build_object('roles', private.roles_for_token(event ->> 'user_id'))
    )
    else event
  end;
comment on function public.custom_access_token_hook(jsonb) is
  'Custom access token hook for Supabase Auth: puts the roles granted here into app_metadata.roles of every token. Executable by supabase_auth_admin only.';
