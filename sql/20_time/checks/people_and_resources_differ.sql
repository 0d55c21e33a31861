create function private.check_people_and_resources_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'user_profiles', p.id::text, format('%s works here and is no resource, so nothing keeps them in one place', p.full_name), '{}'::jsonb
  from public.user_profiles p
  where not exists (select from public.resources r where r.profile_id = p.id)
    and exists (select from public.user_roles u where u.user_id = p.user_id and u.role_name <> 'member')
  union all
  select 'locations', l.id::text, format('%s is no resource, so it can be booked twice', l.name), '{}'::jsonb
  from public.locations l
  where not exists (select from public.resources r where r.location_id = l.id)
  union all
  select 'resources', r.id::text, format('%s stands for a %s that is gone', r.name, case r.kind when 'person' then 'profile' else 'location' end), '{}'::jsonb
  from public.resources r
  where r.kind = 'person' and not exists (select from public.user_profiles p where p.id = r.profile_id)
    or r.kind = 'place' and not exists (select from public.locations l where l.id = r.location_id);
end;
comment on function private.check_people_and_resources_differ() is
  'Finds people who work and places without a resource, and resources without their person or place.';

create function private.fix_people_and_resources_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  perform private.ensure_people(array(
    select p.id from public.user_profiles p where p.id = any(p_entity_ids::uuid[])
  ));
  update public.locations l set name = l.name where l.id = any(p_entity_ids::uuid[]);
  select count(*) into v_fixed from public.resources r where coalesce(r.profile_id, r.location_id) = any(p_entity_ids::uuid[]);
  return v_fixed;
end;
$$;
comment on function private.fix_people_and_resources_differ(text[]) is
  'Makes the missing resources; a resource whose person or place is gone is left for a person to decide.';
