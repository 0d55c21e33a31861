-- A profile that gives way to another (link_profile) takes its resource along, unless the resource is in use: then the
-- foreign keys of claims, meetings and weekly rules refuse both.

create function private.forget_unused_person() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  delete from public.resources r where r.profile_id = old.id;
  return old;
end;
$$;
comment on function private.forget_unused_person() is 'Row trigger on user_profiles: a removed profile takes an unused resource along.';

create trigger t50_forget_unused_person before delete on public.user_profiles
  for each row execute function private.forget_unused_person();
