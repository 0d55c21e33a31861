-- What functions are handed as JSON: every field of every row is looked at before anything is written.

create function private.is_uuid(p_text text) returns boolean
language sql immutable set search_path = ''
return p_text ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';
comment on function private.is_uuid(text) is 'Whether text is an id; null for null.';

-- Kinds: uuid, date, time, instant, amount, count, text, words (a list of texts). An instant says its offset, since it would
-- otherwise be read in whatever zone the caller's session is in.
create function private.json_value_error(p_kind text, p_value jsonb) returns text
language sql immutable set search_path = ''
return case
    when p_value is null or p_value = 'null' then null
    when p_kind = 'words' then case
      when jsonb_typeof(p_value) <> 'array' or jsonb_path_exists(p_value, '$[*] ? (@.type() != "string")') then 'This is a list of texts' end
    when p_kind in ('amount', 'count') and jsonb_typeof(p_value) not in ('number', 'string')
      or p_kind not in ('amount', 'count') and jsonb_typeof(p_value) <> 'string' then
      case p_kind when 'uuid' then 'This is an id' when 'date' then 'A date is written 2026-01-31' when 'time' then 'A time is written 09:30'
        when 'text' then 'This is a text'
        when 'instant' then 'An instant is written 2026-01-31T18:00Z' else 'This is a number' end
    when p_kind = 'uuid' and not private.is_uuid(p_value #>> '{}') then 'This is an id'
    when p_kind = 'date' and private.text_to_date(p_value #>> '{}') is null then 'A date is written 2026-01-31, and lies between 1970 and 2199'
    when p_kind = 'time' and private.text_to_time(p_value #>> '{}') is null then 'A time is written 09:30'
    when p_kind = 'instant' and (private.text_to_date(left(p_value #>> '{}', 10)) is null or substr(p_value #>> '{}', 11)
        !~ '^[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)$') then
      'An instant is written 2026-01-31T18:00Z, or with another offset, and lies between 1970 and 2199'
    when p_kind = 'amount' and (p_value #>> '{}') !~ '^[0-9]{1,10}([.][0-9]{1,2})?$' then 'An amount is not below zero and has at most two decimals'
    when p_kind = 'count' and (p_value #>> '{}') !~ '^[0-9]{1,6}$' then 'This is a whole number'
  end;
comment on function private.json_value_error(text, jsonb) is 'What is wrong with one value, or null.';

create function private.json_object_errors(p_object jsonb, p_fields jsonb, p_prefix text default '') returns jsonb
language sql immutable set search_path = ''
return case
    when jsonb_typeof(p_object) is distinct from 'object' then private.input_error(true, rtrim(p_prefix, '.'), 'This is an object')
    else coalesce((
      select jsonb_agg(jsonb_build_object('field', p_prefix || f.key, 'message', f.message) order by f.key)
      from (
        select e.key, case when p_fields ? e.key then private.json_value_error(p_fields ->> e.key, e.value) else 'There is no such field' end as message
        from jsonb_each(p_object) e
      ) f
      where f.message is not null
    ), '[]')
  end;
comment on function private.json_object_errors(jsonb, jsonb, text) is
  'What is wrong with an object whose fields, by name, have these kinds: one error a field; unknown fields are errors.';

create function private.json_list_errors(p_list jsonb, p_fields jsonb, p_field text) returns jsonb
language plpgsql immutable set search_path = ''
as $$
begin
  if jsonb_typeof(p_list) is distinct from 'array' then
    return private.input_error(true, p_field, 'This is a list of objects');
  end if;
  return coalesce((
    select jsonb_agg(w.error order by i.position)
    from jsonb_array_elements(p_list) with ordinality as i(item, position)
    cross join lateral jsonb_array_elements(
      private.json_object_errors(i.item, p_fields, format('%s[%s].', p_field, i.position - 1))
    ) as w(error)
  ), '[]');
end;
$$;
comment on function private.json_list_errors(jsonb, jsonb, text) is 'What is wrong with a list of such objects, each field with its place, such as p_rows[3].date.';

create function private.within(p_errors jsonb, p_prefix text) returns jsonb
language sql immutable set search_path = ''
return coalesce((
  select jsonb_agg(jsonb_set(e.error, '{field}', to_jsonb(p_prefix || coalesce(e.error ->> 'field', ''))) order by e.n)
  from jsonb_array_elements(p_errors) with ordinality as e(error, n)
), '[]');
comment on function private.within(jsonb, text) is 'Errors with a prefix before the name of each field.';
