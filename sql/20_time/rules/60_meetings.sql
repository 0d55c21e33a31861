-- Meetings: local date and times become instants, and time is claimed for their participants.

create function private.meeting_errors(
  p_date date, p_start_time time, p_end_time time, p_ends_on date, p_time_zone text, p_prefix text default ''
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_is_dated constant boolean := coalesce(p_date between date '1970-01-01' and date '2199-12-31', false);
  v_is_zoned constant boolean := coalesce(private.is_time_zone(p_time_zone), false);
  v_ends_on constant date := coalesce(p_ends_on, p_date);
  v_errors jsonb :=
    private.input_error(p_date is null, p_prefix || 'date', 'Say on which day')
    || private.input_error(p_date is not null and not v_is_dated, p_prefix || 'date', 'A date lies between 1970 and 2199')
    || private.input_error(p_start_time is null, p_prefix || 'start_time', 'Say when it starts')
    || private.input_error(p_end_time is null, p_prefix || 'end_time', 'Say when it ends')
    || private.input_error(not v_is_zoned, p_prefix || 'time_zone', 'A time zone is an IANA name, such as Europe/Paris');
begin
  if not v_is_dated then
    return v_errors;
  end if;
  if v_ends_on not between p_date and least(p_date + 31, date '2199-12-31') then
    return v_errors || private.input_error(true, p_prefix || 'ends_on', 'It ends on the day it starts, or up to 31 days later');
  end if;
  v_errors := v_errors
    || private.input_error(v_ends_on + p_end_time <= p_date + p_start_time, p_prefix || 'end_time', 'The end must be after the start')
    || private.input_error(v_ends_on + p_end_time - (p_date + p_start_time) > interval '31 days', p_prefix || 'ends_on', 'A single use lasts at most 31 days');
  if v_errors <> '[]' then
    return v_errors;
  end if;
  return private.input_error(private.local_to_instant(p_date, p_start_time, p_time_zone) is null, p_prefix || 'start_time',
      private.describe_skipped(p_date, p_start_time, p_time_zone))
    || private.input_error(private.local_end_to_instant(v_ends_on, p_end_time, p_time_zone) is null, p_prefix || 'end_time',
      private.describe_skipped(v_ends_on, p_end_time, p_time_zone))
    -- What lasts 31 days on the clock may last an hour more, or less, where the clock changes meanwhile.
    || private.input_error(
      private.local_end_to_instant(v_ends_on, p_end_time, p_time_zone) - private.local_to_instant(p_date, p_start_time, p_time_zone)
        > interval '31 days', p_prefix || 'ends_on', 'A single use lasts at most 31 days');
end;
$$;
comment on function private.meeting_errors(date, time, time, date, text, text) is
  'What is wrong with when a meeting shall be, every field at once; the fields'' names get the prefix.';

-- Bulk loads come through here: what is right is only looked at once.
create function private.set_meeting_instants() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  new.time_zone := coalesce(new.time_zone, private.setting_text('organisation_time_zone'));
  if new.date between date '1970-01-01' and date '2199-12-31'
    and coalesce(new.ends_on, new.date) between new.date and date '2199-12-31'
    and private.is_time_zone(new.time_zone) then
    new.starts_at := private.local_to_instant(new.date, new.start_time, new.time_zone);
    new.ends_at := private.local_end_to_instant(coalesce(new.ends_on, new.date), new.end_time, new.time_zone);
    if coalesce(new.starts_at < new.ends_at and new.ends_at - new.starts_at <= interval '31 days', false) then
      return new;
    end if;
  end if;
  perform private.fail_input(private.meeting_errors(new.date, new.start_time, new.end_time, new.ends_on, new.time_zone));
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

-- After the rows are there and before their own time is claimed: the rules' claims go, so that theirs can come.
create function private.take_over_for_meetings() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_rule_ids uuid[];
  v_dates date[];
begin
  if tg_op = 'INSERT' then
    select array_agg(n.id), array_agg(n.rule_id), array_agg(n.occurs_on) into v_ids, v_rule_ids, v_dates
    from new_rows n
    where n.rule_id is not null;
  else
    select array_agg(n.id), array_agg(n.rule_id), array_agg(n.occurs_on) into v_ids, v_rule_ids, v_dates
    from new_rows n
    left join old_rows o on o.id = n.id and o.rule_id = n.rule_id and o.occurs_on = n.occurs_on
    where n.rule_id is not null and o.id is null;
  end if;
  if v_ids is not null then
    perform private.take_over('meetings', v_ids, v_rule_ids, v_dates);
  end if;
  return null;
end;
$$;
comment on function private.take_over_for_meetings() is 'Statement trigger: meetings made from a weekly rule take those dates of the rule over.';

create trigger t40_take_over_insert after insert on public.meetings
  referencing new table as new_rows for each statement execute function private.take_over_for_meetings();
create trigger t40_take_over_update after update on public.meetings
  referencing old table as old_rows new table as new_rows for each statement execute function private.take_over_for_meetings();

-- After their own time was left. What was deleted gives nothing back: whether the date is then held or not, somebody
-- has to say (restore_occurrence, cancel_occurrence).
create function private.give_back_for_meetings() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_rule_ids uuid[];
  v_dates date[];
begin
  select array_agg(o.id), array_agg(o.rule_id), array_agg(o.occurs_on) into v_ids, v_rule_ids, v_dates
  from old_rows o
  left join new_rows n on n.id = o.id and n.rule_id = o.rule_id and n.occurs_on = o.occurs_on
  where o.rule_id is not null and n.id is null;
  if v_ids is not null then
    perform private.give_back('meetings', v_ids, v_rule_ids, v_dates);
  end if;
  return null;
end;
$$;
comment on function private.give_back_for_meetings() is 'Statement trigger: a meeting that no longer stands in for a date gives it back to the rule.';

create trigger t60_give_back after update on public.meetings
  referencing old table as old_rows new table as new_rows for each statement execute function private.give_back_for_meetings();

select private.attach_claims('public.meetings');
select private.attach_claims('public.meeting_participants', 'public.meetings', 'meeting_id');
