-- What pay and analytics ask in common.

-- Whose numbers the caller gets: null is everybody's.
create function private.numbers_of(p_instructor_ids uuid[]) returns uuid[]
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_self constant uuid := private.current_profile_id();
begin
  if private.has_permission('read:analytics') then
    return p_instructor_ids;
  end if;
  perform private.require_permission('read:own_analytics');
  return case when p_instructor_ids is null or v_self = any(p_instructor_ids) then array_remove(array[v_self], null) else '{}' end;
end;
$$;
comment on function private.numbers_of(uuid[]) is
  'Of the instructors asked for (null: all) those whose numbers the caller gets: with read:analytics all of them, with read:own_analytics themselves. Raises forbidden without either.';

create function private.days_errors(p_from date, p_to date, p_from_field text, p_to_field text) returns jsonb
language sql immutable set search_path = ''
return private.input_error(p_from is null, p_from_field, 'Say from which day')
  || private.input_error(p_to is null, p_to_field, 'Say to which day')
  || private.input_error(p_to < p_from, p_to_field, 'The last day must not be before the first')
  || private.input_error(not isfinite(p_from), p_from_field, 'Say from which day')
  || private.input_error(not isfinite(p_to), p_to_field, 'Say to which day');
comment on function private.days_errors(date, date, text, text) is 'What is wrong with a stretch of days.';
