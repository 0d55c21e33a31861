-- Roles and permissions are written through functions; here is what may be read, and the little that may be written.

alter table public.user_profiles enable row level security;
alter table public.roles enable row level security;
alter table public.role_permissions enable row level security;
alter table public.user_roles enable row level security;
alter table public.user_permissions enable row level security;
alter table public.access_changes enable row level security;

-- People: one's own row, and everyone's with read:contact. Others read people_directory.
grant select on public.user_profiles to authenticated, service_role;
create policy "people see themselves, contact readers see everyone" on public.user_profiles for select to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('read:contact')));

grant execute on function private.has_permission(text), private.has_role(text), private.require_permission(text),
  private.current_profile_id()
  to anon, authenticated, service_role;
