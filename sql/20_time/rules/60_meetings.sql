-- Meetings: local date and times become instants, and time is claimed for their participants.

create function private.set_meeting_instants() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  new.time_zone := coalesce(new.time_zone, private.setting_text('organisation_time_zone'));
  if not private.is_time_zone(new.time_zone) then
    perform private.fail('invalid_input', format('%s is no time zone', new.time_zone), 'time_zone');
  end if;
  if new.date not between date '1970-01-01' and date '2199-12-31' then
    perform private.fail('invalid_input', 'A date lies between 1970 and 2199', 'date');
  end if;
  if new.ends_on not between new.date and new.date + 31 then
    perform private.fail('invalid_input', 'It ends on the day it starts, or up to 31 days later', 'ends_on');
  end if;
  if coalesce(new.ends_on, new.date) + new.end_time <= new.date + new.start_time then
    perform private.fail('invalid_input', 'The end must be after the start', 'end_time');
  end if;
  new.starts_at := private.local_to_instant(new.date, new.start_time, new.time_zone);
  if new.starts_at is null then
    perform private.fail_local_time(new.date, new.start_time, new.time_zone, 'start_time');
  end if;
  new.ends_at := private.local_end_to_instant(coalesce(new.ends_on, new.date), new.end_time, new.time_zone);
  if new.ends_at is null then
    perform private.fail_local_time(coalesce(new.ends_on, new.date), new.end_time, new.time_zone, 'end_time');
  end if;
  if new.ends_at - new.starts_at > interval '31 days' then
    perform private.fail('invalid_input', 'A single use lasts at most 31 days', 'ends_on');
  end if;
  return new;
end;
$$;
comment on function private.set_meeting_instants() is
  'Row trigger: works out starts_at and ends_at, and refuses times that do not exist or make no sense.';

create trigger t20_set_instants
  before insert or update of date, start_time, end_time, ends_on, time_zone, starts_at, ends_at on public.meetings
  for each row execute function private.set_meeting_instants();

create trigger t10_keep_version before update on public.meetings
  for each row execute function private.keep_version();

-- After the row is there and before its participants come: the rule's claim goes, so that theirs can.
create function private.take_over_for_meeting() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  perform private.take_over(new.rule_id, new.occurs_on, 'meetings', new.id);
  return null;
end;
$$;
comment on function private.take_over_for_meeting() is 'Row trigger: a meeting made from a weekly rule takes that date of the rule over.';

create trigger t40_take_over after insert or update of rule_id, occurs_on on public.meetings
  for each row when (new.rule_id is not null) execute function private.take_over_for_meeting();

select private.attach_claims('public.meetings');
select private.attach_claims('public.meeting_participants', 'public.meetings', 'meeting_id');
