-- Takes no argument, so that it can tell nobody about anybody else.
create function private.current_access() returns table (user_id uuid, profile_id uuid, roles text[], permissions text[])
language sql stable security definer set search_path = ''
begin atomic
  select
    private.caller_id(),
    private.current_profile_id(),
    array(select r.name from public.roles r where private.has_role(r.name) order by r.name),
    array(select p.name from public.permissions p where private.has_permission(p.name) order by p.name)
  where private.caller_id() is not null;
end;
comment on function private.current_access() is 'What public.current_access shows.';

create function public.current_access() returns table (user_id uuid, profile_id uuid, roles text[], permissions text[])
language sql stable set search_path = ''
begin atomic
  select a.user_id, a.profile_id, a.roles, a.permissions from private.current_access() a;
end;
comment on function public.current_access() is
  'Who is calling and what they may do: one row for anyone signed in (login, person, roles, permissions, sorted), none for anyone else. For menus; the rules ask the database again.';
