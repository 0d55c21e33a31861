-- Who and what is a resource: everyone who works (holds a role other than member, or was imported before having a
-- login) and every location, each with the same id; equipment is written by hand.

create function private.ensure_people(p_profile_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  insert into public.resources (id, kind, name, profile_id, is_active)
  select p.id, 'person', coalesce(private.clean_text(left(p.full_name, 200)), 'Unnamed'), p.id, p.is_active
  from public.user_profiles p
  where p.id = any(p_profile_ids)
  on conflict do nothing;
end;
comment on function private.ensure_people(uuid[]) is 'Makes the resources of these profiles where they are missing.';

-- Imports bring hundreds of people at once, so this runs once a statement.
create function private.make_people_of_profiles() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  -- Who is written without a login is somebody to be planned with; who loses theirs, a customer perhaps, is not.
  perform private.ensure_people(array(
    select n.id
    from new_rows n
    where (tg_op = 'INSERT' and n.user_id is null)
      or exists (select from public.user_roles r where r.user_id = n.user_id and r.role_name <> 'member')
  ));
  return null;
end;
$$;
comment on function private.make_people_of_profiles() is
  'Statement trigger on user_profiles: who works, or is written without a login, becomes a resource.';

create trigger t50_make_people_insert after insert on public.user_profiles
  referencing new table as new_rows for each statement execute function private.make_people_of_profiles();
create trigger t50_make_people_update after update on public.user_profiles
  referencing new table as new_rows for each statement execute function private.make_people_of_profiles();

create function private.make_person_of_role() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if new.role_name <> 'member' then
    perform private.ensure_people(array(select p.id from public.user_profiles p where p.user_id = new.user_id));
  end if;
  return null;
end;
$$;
comment on function private.make_person_of_role() is 'Row trigger on user_roles: who is given work becomes a resource.';

create trigger t50_make_person after insert or update of role_name, user_id on public.user_roles
  for each row execute function private.make_person_of_role();

create function private.follow_profile() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  update public.resources r
  set name = coalesce(private.clean_text(left(new.full_name, 200)), 'Unnamed'), is_active = new.is_active
  where r.profile_id = new.id;
  return null;
end;
$$;
comment on function private.follow_profile() is 'Row trigger on user_profiles: the resource carries the profile''s name.';

create trigger t60_follow after update of full_name, is_active on public.user_profiles
  for each row when ((old.full_name, old.is_active) is distinct from (new.full_name, new.is_active))
  execute function private.follow_profile();

create function private.make_places_of_locations() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into public.resources as r (id, kind, name, location_id, is_active)
  select n.id, 'place', n.name, n.id, n.is_active from new_rows n order by n.id
  on conflict (location_id) do update set name = excluded.name, is_active = excluded.is_active
  where (r.name, r.is_active) is distinct from (excluded.name, excluded.is_active);
  return null;
end;
$$;
comment on function private.make_places_of_locations() is
  'Statement trigger on locations: each is a resource of the same id, name and activity.';

create trigger t50_make_places_insert after insert on public.locations
  referencing new table as new_rows for each statement execute function private.make_places_of_locations();
create trigger t50_make_places_update after update on public.locations
  referencing new table as new_rows for each statement execute function private.make_places_of_locations();

create function private.start_horizon() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into public.resource_horizons (resource_id, claimed_until)
  select n.id, private.now() + make_interval(days => private.setting_integer('ledger_horizon_days'))
  from new_rows n
  on conflict do nothing;
  return null;
end;
$$;
comment on function private.start_horizon() is 'Statement trigger on resources: a new one can be claimed up to the horizon of the settings.';

create trigger t50_start_horizon after insert on public.resources
  referencing new table as new_rows
  for each statement execute function private.start_horizon();

create trigger t10_keep_version before update on public.locations
  for each row execute function private.keep_version();
create trigger t10_keep_version before update on public.resources
  for each row execute function private.keep_version();
