-- Importing bookings, schedules and classes, first part: from text to values, with every fault of every row told.
--
-- A file has many rows but few different names, dates and times, so each different text is looked at once and joined back.

create type private.import_item as (row_number integer, line integer, id uuid, fate text, fields jsonb);
comment on type private.import_item is
  'One row of a file, its values by the columns of the table. fate: bad, present (there is one of this id already), left_out, or new.';

-- Lists are written with semicolons between; as JSON where an item has one itself.
create function private.text_to_list(p_text text) returns jsonb
language plpgsql immutable set search_path = ''
as $$
begin
  if p_text ~ '^\[\s*("([^"\\\x01-\x1f]|\\["\\/bfnrt])*"\s*(,\s*"([^"\\\x01-\x1f]|\\["\\/bfnrt])*"\s*)*)?\]$' then
    return p_text::jsonb;
  end if;
  return coalesce((
    select jsonb_agg(btrim(u.item) order by u.n) from unnest(string_to_array(p_text, ';')) with ordinality as u(item, n) where u.item ~ '\S'
  ), '[]');
end;
$$;
comment on function private.text_to_list(text) is 'The items of a list written in one cell: a; b; c, or a JSON array.';

create function private.list_to_text(p_list text[]) returns text
language sql immutable set search_path = ''
return case
    when exists (select from unnest(p_list) as u(item) where u.item ~ '[;\[]|^\s|\s$') then to_jsonb(p_list)::text
    else nullif(array_to_string(p_list, '; '), '')
  end;
comment on function private.list_to_text(text[]) is 'A list in one cell, as private.text_to_list reads it; null for an empty one.';

create function private.text_to_instant(p_text text) returns timestamptz
language sql immutable set search_path = ''
return case
    when p_text ~ '^\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)$'
      and private.text_to_date(left(p_text, 10)) is not null then p_text::timestamptz
  end;
comment on function private.text_to_instant(text) is 'The instant of text like 2026-01-31T09:30:00Z, with its offset; null for anything else.';

-- What a cell says, by its kind; null when it says nothing of that kind. Names are looked up elsewhere.
create function private.cell_value(p_kind text, p_text text) returns jsonb
language sql immutable set search_path = ''
return case p_kind
    when 'text' then to_jsonb(p_text)
    when 'word' then to_jsonb(lower(p_text))
    when 'code' then case when p_text ~ '^[A-Z0-9]{1,10}-[0-9]{8}-[0-9A-Z]{4,12}$' then to_jsonb(p_text) end
    when 'uuid' then case when private.is_uuid(p_text) then to_jsonb(lower(p_text)) end
    when 'date' then to_jsonb(private.text_to_date(p_text))
    when 'time' then to_jsonb(private.text_to_time(p_text))
    when 'instant' then to_jsonb(private.text_to_instant(p_text))
    when 'amount' then case when p_text ~ '^[0-9]{1,10}([.][0-9]{1,2})?$' then to_jsonb(p_text::numeric) end
    when 'count' then case when p_text ~ '^[0-9]{1,6}$' then to_jsonb(p_text::integer) end
    when 'boolean' then case
      when lower(p_text) in ('true', 't', 'yes', 'y', '1') then to_jsonb(true) when lower(p_text) in ('false', 'f', 'no', 'n', '0') then to_jsonb(false) end
    when 'weekday' then to_jsonb(coalesce(
      case when p_text ~ '^[0-6]$' then p_text::integer end,
      array_position(array['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
        case when lower(p_text) ~ '^(sun(day)?|mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?)$' then left(lower(p_text), 3) end) - 1))
    when 'list' then private.text_to_list(p_text)
  end;
comment on function private.cell_value(text, text) is 'The value of one cell of a kind, null where it is none.';

create function private.cell_hint(p_kind text) returns text
language sql immutable set search_path = ''
return case p_kind
    when 'code' then 'A booking''s code is written YOG-20260131-0417'
    when 'uuid' then 'This is an id, or empty'
    when 'date' then 'A date is written 2026-01-31, and lies between 1970 and 2199'
    when 'time' then 'A time is written 09:30'
    when 'instant' then 'An instant is written 2026-01-31T09:30:00Z'
    when 'amount' then 'An amount is not below zero and has at most two decimals'
    when 'count' then 'This is a whole number'
    when 'boolean' then 'This is yes or no'
    when 'weekday' then 'A weekday is 0 (Sunday) to 6 (Saturday), or its English name'
    when 'person' then 'Nobody has this name, email address or id'
    when 'class_type' then 'There is no class type of this name or id'
    when 'package' then 'There is no package of this name or id'
    when 'location' then 'There is no location of this name or id'
    when 'login' then 'There is no login of this id'
    when 'rate' then 'There is no rate of this id'
    when 'schedule' then 'There is no class schedule of this id'
  end;
comment on function private.cell_hint(text) is 'What to say of a cell that is not of its kind.';

-- Everything a name of a file can mean. An id is meant before a name that looks like one.
create function private.import_names(p_kinds text[]) returns table (kind text, key text, name text, id uuid, standing integer)
language sql stable security definer set search_path = ''
begin atomic
  with named as (
    select 'person' as kind, p.id, p.full_name as name, p.is_active from public.user_profiles p
    union all select 'person', p.id, p.email, p.is_active from public.user_profiles p where p.email is not null
    union all select 'class_type', t.id, t.name, t.is_active from public.class_types t
    union all select 'package', p.id, p.name, p.is_active from public.packages p
    union all select 'location', l.id, l.name, l.is_active from public.locations l
  )
  select n.kind, lower(private.clean_text(n.name)), n.name, n.id, n.is_active::integer
  from named n
  where n.kind = any(p_kinds) and n.name is not null
  union all
  select i.kind, i.id::text, null, i.id, 4
  from (
    select 'person' as kind, p.id from public.user_profiles p
    union all select 'class_type', t.id from public.class_types t
    union all select 'package', p.id from public.packages p
    union all select 'location', l.id from public.locations l
    union all select 'schedule', s.id from public.class_schedules s
    union all select 'rate', r.id from public.instructor_rates r
    union all select 'login', u.id from auth.users u
  ) i
  where i.kind = any(p_kinds);
end;
comment on function private.import_names(text[]) is
  'What names, email addresses and ids of these kinds stand for; standing says which is meant first where several are called alike.';

-- p_columns says of each column its kind and, where that differs, the column of the table it is for: person:instructor_id.
create function private.read_cells(
  p_kind text, p_rows jsonb, p_columns jsonb, p_server_only text[], out p_items private.import_item[], out p_faults private.import_fault[]
)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
declare
  v_is_trusted constant boolean := private.is_trusted();
  v_kinds text[] := array(select distinct split_part(c.value, ':', 1) from jsonb_each_text(p_columns) c);
begin
  with lines as materialized (
    select r.n::integer as row_number, case when r.item ->> 'line' ~ '^[0-9]{1,9}$' then (r.item ->> 'line')::integer else r.n::integer + 1 end as line, r.item
    from jsonb_array_elements(p_rows) with ordinality as r(item, n)
  ), columns as materialized (
    select c.key as name, split_part(c.value, ':', 1) as kind, coalesce(nullif(split_part(c.value, ':', 2), ''), c.key) as field, c.n
    from jsonb_each_text(p_columns) with ordinality as c(key, value, n)
  ), cells as materialized (
    select l.row_number, l.line, c.name, c.kind, c.field, c.n, private.clean_text(t.value) as text
    from lines l
    cross join lateral jsonb_each_text(l.item) as t(key, value)
    join columns c on c.name = t.key
  ), texts as materialized (
    select distinct c.kind, c.text from cells c where c.text is not null
  ), known as materialized (
    select t.kind, t.text, k.id, count(*) over best as candidates,
      row_number() over (partition by t.kind, t.text order by k.standing + 2 * (k.name is not distinct from t.text)::integer desc, k.id) as position
    from texts t
    join (select distinct i.kind, i.key, i.name, i.id, i.standing from private.import_names(v_kinds) i) k on k.kind = t.kind and k.key = lower(t.text)
    window best as (partition by t.kind, t.text, k.standing + 2 * (k.name is not distinct from t.text)::integer)
  ), meanings as materialized (
    select t.kind, t.text, coalesce(to_jsonb(k.id), private.cell_value(t.kind, t.text)) as value,
      case when k.candidates > 1 then format('%s are called so: nobody knows which is meant. Give the id', k.candidates)
        when k.id is null and private.cell_value(t.kind, t.text) is null then private.cell_hint(t.kind) end as reason
    from texts t
    left join known k on k.kind = t.kind and k.text = t.text and k.position = 1
  ), judged as materialized (
    select c.row_number, c.line, c.name, c.field, c.n, c.text, m.value,
      case when c.text is not null and c.name = any(p_server_only) and not v_is_trusted then 'Only a server brings this along: leave it empty'
        else m.reason end as reason
    from cells c
    left join meanings m on m.kind = c.kind and m.text = c.text
  ), objects as materialized (
    select j.row_number, jsonb_object_agg(j.field, j.value) as fields, bool_or(j.reason is not null) as is_bad
    from judged j
    group by j.row_number
  ), numbered as materialized (
    select l.row_number, l.line, coalesce(o.fields, '{}') as fields, coalesce(o.is_bad, false) as is_bad,
      row_number() over (partition by o.fields order by l.row_number) as copy
    from lines l
    left join objects o on o.row_number = l.row_number
  )
  select
    (
      -- The same row imported again gets the id it had, and is found by it.
      select array_agg(row(n.row_number, n.line,
          case when n.is_bad then null when n.fields ->> 'id' is not null then (n.fields ->> 'id')::uuid
            else md5(format('%s/%s/%s', p_kind, jsonb_strip_nulls(n.fields), n.copy))::uuid end,
          case when n.is_bad then 'bad' else 'new' end, n.fields)::private.import_item order by n.row_number)
      from numbered n
    ),
    (
      select coalesce(array_agg(row(j.row_number, j.line, j.name, 'invalid_input', j.reason, left(j.text, 200))::private.import_fault order by j.row_number, j.n), '{}')
      from judged j
      where j.reason is not null
    )
  into p_items, p_faults;
end;
$$;
comment on function private.read_cells(text, jsonb, jsonb, text[]) is
  'Reads rows of text by the kinds of their columns: an item a row, and a fault for every cell that says nothing of its kind.';

-- What the rules say of a row is told of the column it was read from.
create function private.faults_of_errors(p_item private.import_item, p_errors jsonb, p_columns jsonb) returns setof private.import_fault
language sql immutable set search_path = ''
begin atomic
  select row(p_item.row_number, p_item.line, coalesce(c.key, e.error ->> 'field'), coalesce(e.error ->> 'code', 'invalid_input'), e.error ->> 'message',
    left(p_item.fields ->> (e.error ->> 'field'), 200))::private.import_fault
  from jsonb_array_elements(p_errors) with ordinality as e(error, n)
  left join lateral (
    select k.key from jsonb_each_text(p_columns) as k(key, value) where split_part(k.value, ':', 2) = e.error ->> 'field'
  ) c on true
  order by e.n;
end;
comment on function private.faults_of_errors(private.import_item, jsonb, jsonb) is 'Errors of the fields of one row, as faults of the columns of a file.';

create function private.faults_of_repeats(p_items private.import_item[], p_field text) returns private.import_fault[]
language sql immutable set search_path = ''
return array(
  select row(r.row_number, r.line, p_field, 'duplicate', format('Line %s has it already', r.first_line), left(r.value, 200))::private.import_fault
  from (
    select i.row_number, i.line, i.fields ->> p_field as value, first_value(i.line) over same as first_line, row_number() over same as copy
    from unnest(p_items) i
    where i.fate <> 'bad' and i.fields ->> p_field is not null
    window same as (partition by i.fields ->> p_field order by i.row_number)
  ) r
  where r.copy > 1
  order by r.row_number
);
comment on function private.faults_of_repeats(private.import_item[], text) is 'The rows whose id, or code, an earlier row has.';

create function private.with_fate(p_items private.import_item[], p_fate text, p_row_numbers integer[]) returns private.import_item[]
language sql immutable set search_path = ''
return array(
  select row(i.row_number, i.line, i.id, case when i.row_number = any(p_row_numbers) and i.fate = 'new' then p_fate else i.fate end, i.fields)::private.import_item
  from unnest(p_items) i
  order by i.row_number
);
comment on function private.with_fate(private.import_item[], text, integer[]) is 'Rows, of which these that were new now have this fate.';
