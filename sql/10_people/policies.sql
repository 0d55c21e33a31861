-- Roles and permissions are given and taken by functions; here is what may be read, and the little that may be written.

alter table public.user_profiles enable row level security;
alter table public.roles enable row level security;
alter table public.role_permissions enable row level security;
alter table public.user_roles enable row level security;
alter table public.user_permissions enable row level security;
alter table public.access_changes enable row level security;

-- People: one's own row, and everyone's with read:contact. Others read people_directory. Which columns of one's own
-- row may change is for a trigger to say, since a grant cannot tell whose row it is.
grant select, insert (full_name, email, phone, time_zone),
  update (full_name, email, phone, time_zone, is_active, version) on public.user_profiles to authenticated;
grant select, insert, update, delete on public.user_profiles to service_role;
create policy "people see themselves, contact readers see everyone" on public.user_profiles for select to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('read:contact')));
create policy "user managers add people" on public.user_profiles for insert to authenticated
  with check ((select private.has_permission('manage:users')));
create policy "people change themselves, user managers change everyone" on public.user_profiles for update to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('manage:users')))
  with check (user_id = (select private.caller_id()) or (select private.has_permission('manage:users')));
-- No delete for authenticated: people are deactivated, or erased with erase_person.

grant select on private.directory, public.people_directory to authenticated, service_role;

-- What the roles mean is no secret to those who hold one.
grant select, insert (name, description), update (description), delete on public.roles to authenticated;
grant select, insert, update, delete on public.roles to service_role;
create policy "everyone sees the roles" on public.roles for select to authenticated using (true);
create policy "user managers add roles" on public.roles for insert to authenticated
  with check ((select private.has_permission('manage:users')));
create policy "user managers describe roles" on public.roles for update to authenticated
  using ((select private.has_permission('manage:users'))) with check ((select private.has_permission('manage:users')));
create policy "user managers remove roles" on public.roles for delete to authenticated
  using ((select private.has_permission('manage:users')));

grant select, insert, update (is_granted), delete on public.role_permissions to authenticated;
grant select, insert, update, delete on public.role_permissions to service_role;
create policy "everyone sees what roles may do" on public.role_permissions for select to authenticated using (true);
create policy "user managers give roles permissions" on public.role_permissions for insert to authenticated
  with check ((select private.has_permission('manage:users')));
create policy "user managers switch permissions of roles" on public.role_permissions for update to authenticated
  using ((select private.has_permission('manage:users'))) with check ((select private.has_permission('manage:users')));
create policy "user managers take permissions from roles" on public.role_permissions for delete to authenticated
  using ((select private.has_permission('manage:users')));

-- Who holds what: no writing for authenticated, because grant_role and its sisters ask for the reason.
grant select on public.user_roles, public.user_permissions to authenticated;
grant select, insert, delete on public.user_roles, public.user_permissions to service_role;
create policy "people see their roles, user managers see all" on public.user_roles for select to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('manage:users')));
create policy "people see their permissions, user managers see all" on public.user_permissions for select to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('manage:users')));

-- Written by triggers and functions only.
grant select on public.access_changes to authenticated, service_role;
create policy "user managers see what changed" on public.access_changes for select to authenticated
  using ((select private.has_permission('manage:users')));

-- What 00_platform keeps, now that it is known who may see it.
create policy "settings managers see the settings, everyone the public ones" on public.settings for select to authenticated
  using (is_public or (select private.has_permission('manage:settings')));
create policy "settings managers change the settings" on public.settings for update to authenticated
  using ((select private.has_permission('manage:settings'))) with check ((select private.has_permission('manage:settings')));
create policy "diagnosticians see the permissions" on public.permissions for select to authenticated
  using ((select private.has_permission('read:diagnostics')));
create policy "diagnosticians see the checks" on public.integrity_checks for select to authenticated
  using ((select private.has_permission('read:diagnostics')));
create policy "diagnosticians see the jobs" on public.scheduled_jobs for select to authenticated
  using ((select private.has_permission('read:diagnostics')));

grant execute on function private.has_permission(text), private.has_role(text), private.require_permission(text),
  private.current_profile_id(), private.active_caller_id(), private.is_direct_write(), private.current_access(), public.current_access()
  to anon, authenticated, service_role;

grant execute on function private.mask_email(text), private.mask_phone(text), private.clean_name(text),
  public.permissions(public.user_roles)
  to authenticated, service_role;

-- Each checks the permission first, in the private function.
grant execute on function
  public.grant_role(uuid, text, text, text), private.grant_role(uuid, text, text, text),
  public.revoke_role(uuid, text, text, text), private.revoke_role(uuid, text, text, text),
  public.grant_permission(uuid, text, text, boolean, timestamptz, text), private.grant_permission(uuid, text, text, boolean, timestamptz, text),
  public.revoke_permission(uuid, text, text, text), private.revoke_permission(uuid, text, text, text),
  public.link_profile(uuid, uuid, text, text), private.link_profile(uuid, uuid, text, text),
  public.export_person(uuid), private.export_person(uuid),
  public.erase_person(uuid, text, text), private.erase_person(uuid, text, text)
  to authenticated, service_role;

-- For people only: a server has no profile of its own.
grant execute on function public.update_my_profile(text, text, text, integer, text) to authenticated;

-- public.custom_access_token_hook and private.roles_for_token: for Supabase Auth alone, see reference.sql.
