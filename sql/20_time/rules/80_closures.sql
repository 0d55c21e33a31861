-- Closures: whole local days on which one place, or everything, is closed.

create function private.closure_range(p_starts_on date, p_ends_on date, p_location_id uuid) returns tstzrange
language sql stable security definer set search_path = ''
return (
  select tstzrange(private.day_start(p_starts_on, z.zone), private.day_start(p_ends_on + 1, z.zone))
  from (
    select coalesce(
      (select l.time_zone from public.locations l where l.id = p_location_id),
      private.setting_text('organisation_time_zone')
    ) as zone
  ) z
  where p_starts_on <= p_ends_on
);
comment on function private.closure_range(date, date, uuid) is
  'The instants of whole days where a place is, or where the organisation is; null for a last day before the first.';

-- Where claims in closures are refused, whoever claims time holds the resources' locks: so does who closes them.
create function private.set_closure_range() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  new.name := private.clean_text(new.name);
  new.ends_on := coalesce(new.ends_on, new.starts_on);
  perform private.fail_input(private.closure_errors(new.name, new.starts_on, new.ends_on, ''));
  new.during := private.closure_range(new.starts_on, new.ends_on, new.location_id);
  if isempty(new.during) then
    perform private.fail('invalid_input', 'The clock skips all of it', 'starts_on');
  end if;
  if private.setting_text('availability_policy') = 'refuse' then
    perform private.require_read_committed();
    perform private.lock_resources(array(
      select r.id from public.resources r where new.location_id is null or r.location_id = new.location_id
    ));
  end if;
  return new;
end;
$$;
comment on function private.set_closure_range() is 'Row trigger: works out during, and names every bad field.';

create function private.closure_errors(p_name text, p_starts_on date, p_ends_on date, p_prefix text) returns jsonb
language sql immutable set search_path = ''
return private.input_error(private.clean_text(p_name) is null, p_prefix || 'name', 'Say what the closure is called')
  || private.input_error(length(p_name) > 200, p_prefix || 'name', 'A name has at most 200 characters')
  || private.input_error(p_starts_on is null, p_prefix || 'starts_on', 'Say on which day it starts')
  || private.input_error(p_starts_on not between date '1970-01-01' and date '2199-12-30', p_prefix || 'starts_on', 'A date lies between 1970 and 2199')
  || private.input_error(p_ends_on not between date '1970-01-01' and date '2199-12-30', p_prefix || 'ends_on', 'A date lies between 1970 and 2199')
  || private.input_error(p_ends_on < p_starts_on, p_prefix || 'ends_on', 'The last day must not be before the first')
  || private.input_error(isfinite(p_starts_on) and isfinite(p_ends_on) and p_ends_on - p_starts_on >= 731, p_prefix || 'ends_on',
    'A closure lasts at most two years');
comment on function private.closure_errors(text, date, date, text) is
  'What is wrong with a closure, as private.fail_input takes it; the prefix goes before each field.';

create trigger t10_keep_version before update on public.closures
  for each row execute function private.keep_version();
create trigger t20_set_range before insert or update of name, starts_on, ends_on, location_id, during on public.closures
  for each row execute function private.set_closure_range();

-- Days are where the clock is: when a place's zone or the organisation's changes, its closed days stay the same dates.
create function private.follow_location_zone() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.closures c set starts_on = c.starts_on where c.location_id = new.id;
  return null;
end;
$$;
comment on function private.follow_location_zone() is 'Row trigger on locations: closures of a place follow its zone.';

create trigger t60_follow_zone after update of time_zone on public.locations
  for each row when (old.time_zone is distinct from new.time_zone) execute function private.follow_location_zone();

create function private.follow_organisation_zone() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.closures c set starts_on = c.starts_on
  where not exists (select from public.locations l where l.id = c.location_id and l.time_zone is not null);
  return null;
end;
$$;
comment on function private.follow_organisation_zone() is
  'Row trigger on settings: closures of everything, and of places without a zone of their own, follow the organisation''s zone.';

create trigger t60_follow_zone after update on public.settings
  for each row when (
    new.key = 'organisation_time_zone' and coalesce(old.value, old.default_value) is distinct from coalesce(new.value, new.default_value)
  ) execute function private.follow_organisation_zone();
