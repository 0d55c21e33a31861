-- Arguments that several functions of this module take.

create function private.check_span(
  p_from timestamptz, p_to timestamptz, p_longest interval, p_from_field text, p_to_field text,
  p_resource_ids uuid[] default array['00000000-0000-0000-0000-000000000000'::uuid]
) returns void
language plpgsql immutable set search_path = ''
as $$
begin
  -- The bounds first: before Postgres 17 infinite instants cannot be subtracted.
  if p_from < p_to and p_from >= timestamptz '1970-01-01 00:00+00' and p_to <= timestamptz '2200-01-01 00:00+00'
    and p_to - p_from <= p_longest and cardinality(p_resource_ids) between 1 and 1000 then
    return;
  end if;
  perform private.fail_input(
    private.input_error(coalesce(cardinality(p_resource_ids), 0) not between 1 and 1000, 'p_resource_ids', 'Name 1 to 1000 resources')
    || private.input_error(p_from is null, p_from_field, 'Say from when')
    || private.input_error(p_to is null, p_to_field, 'Say until when')
    || private.input_error(p_from < timestamptz '1970-01-01 00:00+00' or p_from > timestamptz '2200-01-01 00:00+00', p_from_field, 'A date lies between 1970 and 2199')
    || private.input_error(p_to < timestamptz '1970-01-01 00:00+00' or p_to > timestamptz '2200-01-01 00:00+00', p_to_field, 'A date lies between 1970 and 2199')
    || private.input_error(p_to <= p_from, p_to_field, 'The end must be after the start')
    || private.input_error(isfinite(p_from) and isfinite(p_to) and p_to - p_from > p_longest, p_to_field, format('At most %s at once', p_longest))
  );
end;
$$;
comment on function private.check_span(timestamptz, timestamptz, interval, text, text, uuid[]) is
  'Refuses a span of instants that makes no sense or is too long, naming every bad field.';

create function private.require_resources(p_ids uuid[]) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_unknown uuid[] := array(
    select u.id from unnest(p_ids) as u(id) where not exists (select from public.resources r where r.id = u.id)
  );
begin
  if cardinality(v_unknown) > 0 then
    perform private.fail('not_found', format('There is no resource %s', v_unknown[1]), 'p_resource_ids',
      jsonb_build_object('missing', to_jsonb(v_unknown)));
  end if;
end;
$$;
comment on function private.require_resources(uuid[]) is 'Raises not_found for ids that are no resources.';

create function private.require_rule(p_rule_id uuid) returns void
language plpgsql stable security definer set search_path = ''
as $$
begin
  if not exists (select from public.weekly_rules r where r.id = p_rule_id) then
    perform private.fail('not_found', 'There is no such weekly rule', 'p_rule_id');
  end if;
end;
$$;
comment on function private.require_rule(uuid) is 'Raises not_found for an id that is no weekly rule.';

create function private.occurrence_errors(p_rule_id uuid, p_occurs_on date, p_reason text default null) returns jsonb
language sql immutable set search_path = ''
return private.input_error(p_rule_id is null, 'p_rule_id', 'Say which weekly rule')
  || private.input_error(p_occurs_on is null, 'p_occurs_on', 'Say which of its dates')
  || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters');
comment on function private.occurrence_errors(uuid, date, text) is 'What is wrong with naming one date of a weekly rule.';

create function private.happening_exists(p_source_table text, p_source_id uuid) returns boolean
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_exists boolean;
begin
  if to_regclass(format('public.%I', p_source_table)) is null then
    return false;
  end if;
  execute format('select exists (select from public.%I s where s.id = $1)', p_source_table) into v_exists using p_source_id;
  return v_exists;
end;
$$;
comment on function private.happening_exists(text, uuid) is 'Whether a happening''s row is there.';
