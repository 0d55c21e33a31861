create function public.create_weekly_rule(
  p_title text,
  p_resource_ids uuid[],
  p_weekday integer,
  p_start_time time,
  p_end_time time,
  p_time_zone text default null,
  p_from date default null,
  p_until date default null,
  p_kind text default 'weekly',
  p_idempotency_key text default null
) returns setof public.weekly_rules
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'title', p_title, 'resource_ids', p_resource_ids, 'weekday', p_weekday, 'start_time', p_start_time, 'end_time', p_end_time,
    'time_zone', p_time_zone, 'from', p_from, 'until', p_until, 'kind', p_kind);
  v_answer jsonb := private.answered_before('create_weekly_rule', p_idempotency_key, v_request);
  v_zone text := coalesce(p_time_zone, private.setting_text('organisation_time_zone'));
  v_from date := coalesce(p_from, private.today());
  v_rule public.weekly_rules;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.weekly_rules, v_answer);
    return;
  end if;
  perform private.require_permission('create:calendar');
  perform private.fail_input(
    private.input_error(private.clean_text(p_title) is null, 'p_title', 'Say what it is called')
    || private.input_error(length(p_title) > 500, 'p_title', 'A title has at most 500 characters')
    || private.input_error(coalesce(cardinality(p_resource_ids), 0) not between 1 and 100, 'p_resource_ids', 'Name 1 to 100 resources')
    || private.input_error(coalesce(p_weekday, -1) not between 0 and 6, 'p_weekday', 'A weekday is 0 (Sunday) to 6 (Saturday)')
    || private.input_error(p_start_time is null, 'p_start_time', 'Say when it starts')
    || private.input_error(p_end_time is null, 'p_end_time', 'Say when it ends')
    || private.input_error(p_end_time <= p_start_time, 'p_end_time', 'The end must be after the start')
    || private.input_error(not private.is_time_zone(v_zone), 'p_time_zone', 'That is no IANA time zone')
    || private.input_error(v_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
    || private.input_error(p_until not between date '1970-01-01' and date '2199-12-31', 'p_until', 'A date lies between 1970 and 2199')
    || private.input_error(p_until < v_from, 'p_until', 'The last day must not be before the first')
    || private.input_error(coalesce(p_kind, '') !~ '^[a-z]+(_[a-z]+)*$', 'p_kind', 'A kind is a word in lower case')
  );
  perform private.require_resources(p_resource_ids);
  insert into public.weekly_rules (title, kind, weekday, start_time, end_time, time_zone, effective)
  values (private.clean_text(p_title), p_kind, p_weekday, p_start_time, p_end_time, v_zone, daterange(v_from, p_until, '[]'))
  returning * into v_rule;
  insert into public.weekly_rule_resources (rule_id, resource_id)
  select distinct v_rule.id, u.id from unnest(p_resource_ids) as u(id);
  perform private.remember_answer('create_weekly_rule', p_idempotency_key, v_request, to_jsonb(v_rule));
  return next v_rule;
end;
$$;
comment on function public.create_weekly_rule(text, uuid[], integer, time, time, text, date, date, text, text) is
  'Makes something happen every week: weekday 0 Sunday to 6 Saturday, wall-clock times in p_time_zone (the organisation''s by default), from p_from (today) to p_until (included; null: for ever), taking these resources. Needs create:calendar. Claims every date up to the horizon and compares with other rules beyond it. Returns the rule. Raises time_conflict naming what it runs into, invalid_input, not_found.';
