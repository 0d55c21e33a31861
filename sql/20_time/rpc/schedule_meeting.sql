-- Before the meeting is there, since only now is it known whom it will claim besides the rule's own resources.
create function private.take_over_for(p_meeting_id uuid, p_rule_id uuid, p_occurs_on date, p_resource_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('create:calendar');
  perform private.take_over('meetings', array[p_meeting_id], array[p_rule_id], array[p_occurs_on], p_resource_ids);
end;
$$;
comment on function private.take_over_for(uuid, uuid, date, uuid[]) is 'Gives a date of a rule to a meeting about to be written, for a holder of create:calendar.';

create function public.schedule_meeting(
  p_title text,
  p_date date,
  p_start_time time,
  p_end_time time,
  p_resource_ids uuid[] default '{}',
  p_time_zone text default null,
  p_ends_on date default null,
  p_kind text default 'meeting',
  p_notes text default null,
  p_rule_id uuid default null,
  p_occurs_on date default null,
  p_idempotency_key text default null
) returns setof public.meetings
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'title', p_title, 'date', p_date, 'start_time', p_start_time, 'end_time', p_end_time, 'resource_ids', p_resource_ids,
    'time_zone', p_time_zone, 'ends_on', p_ends_on, 'kind', p_kind, 'notes', p_notes, 'rule_id', p_rule_id, 'occurs_on', p_occurs_on);
  v_answer jsonb := private.answered_before('schedule_meeting', p_idempotency_key, v_request);
  v_id uuid := gen_random_uuid();
  v_meeting public.meetings;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.meetings, v_answer);
    return;
  end if;
  perform private.require_permission('create:calendar');
  perform private.fail_input(
    private.input_error(private.clean_text(p_title) is null, 'p_title', 'Say what it is called')
    || private.input_error(length(p_title) > 500, 'p_title', 'A title has at most 500 characters')
    || private.meeting_errors(p_date, p_start_time, p_end_time, p_ends_on, coalesce(p_time_zone, private.setting_text('organisation_time_zone')), 'p_')
    || private.input_error(coalesce(p_kind, '') !~ '^[a-z]+(_[a-z]+)*$', 'p_kind', 'A kind is a word in lower case')
    || private.input_error(length(p_notes) > 10000, 'p_notes', 'Notes have at most 10000 characters')
    || private.input_error(cardinality(p_resource_ids) > 500, 'p_resource_ids', 'A meeting has at most 500 participants')
    || private.input_error((p_rule_id is null) <> (p_occurs_on is null), 'p_occurs_on', 'A rule and the date taken over go together')
    || private.input_error(array_position(p_resource_ids, null) is not null, 'p_resource_ids', 'A participant is missing its id')
  );
  perform private.require_resources(p_resource_ids);
  if p_rule_id is not null then
    perform private.require_rule(p_rule_id);
    perform private.take_over_for(v_id, p_rule_id, p_occurs_on, p_resource_ids);
  end if;
  insert into public.meetings (id, title, kind, date, start_time, end_time, ends_on, time_zone, notes, rule_id, occurs_on)
  values (v_id, private.clean_text(p_title), p_kind, p_date, p_start_time, p_end_time, p_ends_on, p_time_zone, private.clean_text(p_notes), p_rule_id, p_occurs_on)
  returning * into v_meeting;
  insert into public.meeting_participants (meeting_id, resource_id)
  select distinct v_meeting.id, u.id from unnest(p_resource_ids) as u(id);
  perform private.remember_answer('schedule_meeting', p_idempotency_key, v_request, to_jsonb(v_meeting));
  return next v_meeting;
end;
$$;
comment on function public.schedule_meeting(text, date, time, time, uuid[], text, date, text, text, uuid, date, text) is
  'Writes a meeting with its participants (ids of resources) in one go, and claims their time. Date and times are wall-clock in p_time_zone (the organisation''s by default); p_ends_on when it ends on a later day; p_rule_id with p_occurs_on takes one date of a weekly rule over. Needs create:calendar. Returns the meeting. Raises time_conflict naming what is in the way, limit_exceeded beyond the horizon, invalid_input, not_found for unknown resources.';
