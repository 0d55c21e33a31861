-- Recurrence rules as RFC 5545 writes them, worked out as local dates. What recurs here is a date at a wall-clock time
-- in a zone, so what is less than a day has no place: BYHOUR, BYMINUTE, BYSECOND and the FREQs below DAILY are refused.
-- So are BYYEARDAY and BYWEEKNO, which no calendar lets people enter and whose meaning programs differ about.

create type private.recurrence as (
  frequency text, step integer, occurrences integer, until_text text, weekdays smallint[], nths smallint[], month_days smallint[],
  months smallint[], positions smallint[], week_starts smallint
);
comment on type private.recurrence is
  'A recurrence rule, read: weekdays are 1 Monday to 7 Sunday, nths beside them which of the period (0: each), until_text as it was written.';

create function private.rrule_parts(p_rrule text) returns table (place integer, name text, value text)
language sql immutable set search_path = ''
begin atomic
  select p.place::integer, split_part(p.part, '=', 1), case when strpos(p.part, '=') > 0 then substr(p.part, strpos(p.part, '=') + 1) end
  from regexp_split_to_table(regexp_replace(upper(btrim(p_rrule)), '^RRULE:', ''), ';') with ordinality as p(part, place)
  where p.part <> '';
end;
comment on function private.rrule_parts(text) is 'The parts of a recurrence rule, in its order.';

-- Dates are compared as text first, since 20260230 has the form of a date and is none.
create function private.rrule_date(p_text text) returns date
language sql immutable set search_path = ''
return case
    when p_text ~ '^[0-9]{8}' and left(p_text, 4)::integer between 1970 and 2199 and substr(p_text, 5, 2)::integer between 1 and 12
      and substr(p_text, 7, 2)::integer between 1 and
        extract(day from make_date(left(p_text, 4)::integer, substr(p_text, 5, 2)::integer, 1) + interval '1 month' - interval '1 day')
    then make_date(left(p_text, 4)::integer, substr(p_text, 5, 2)::integer, substr(p_text, 7, 2)::integer)
  end;
comment on function private.rrule_date(text) is 'The date a basic ISO date (YYYYMMDD…) names; null for one that does not exist.';

create function private.rrule_errors(p_rrule text, p_field text default 'p_rrule') returns jsonb
language plpgsql immutable set search_path = ''
as $$
declare
  v_parts constant jsonb := (select jsonb_object_agg(p.name, p.value) from private.rrule_parts(p_rrule) p where p.name <> '');
  v_frequency constant text := v_parts ->> 'FREQ';
  v_errors jsonb;
begin
  if v_parts is null or length(p_rrule) > 1000 then
    return private.input_error(true, p_field, case when length(p_rrule) > 1000 then 'A rule has at most 1000 characters'
      else 'Say how it recurs, such as FREQ=WEEKLY;BYDAY=MO,WE' end);
  end if;
  select coalesce(jsonb_agg(jsonb_build_object('field', concat_ws('.', p_field, nullif(left(e.name, 20), '')), 'message', e.message)
    order by e.place), '[]')
  into v_errors
  from (
    select p.place, p.name, case
        when p.name in ('BYHOUR', 'BYMINUTE', 'BYSECOND') then 'Sessions recur by dates: the time of day is said apart from the rule'
        when p.name in ('BYYEARDAY', 'BYWEEKNO') then p.name || ' is not supported: use BYMONTH with BYMONTHDAY or BYDAY'
        when p.name not in ('FREQ', 'INTERVAL', 'COUNT', 'UNTIL', 'BYDAY', 'BYMONTHDAY', 'BYMONTH', 'BYSETPOS', 'WKST')
          then format('%s is no part of a rule', case when p.name ~ '^[A-Z0-9-]{1,30}$' then p.name else 'This' end)
        when count(*) over (partition by p.name) > 1 then p.name || ' may be said once only'
        when coalesce(p.value, '') = '' then p.name || ' says nothing'
        when p.name = 'FREQ' and p.value in ('SECONDLY', 'MINUTELY', 'HOURLY') then 'FREQ is DAILY at the most often'
        when p.name = 'FREQ' and p.value not in ('DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY') then 'FREQ is DAILY, WEEKLY, MONTHLY or YEARLY'
        when p.name = 'INTERVAL' and p.value !~ '^0*[1-9][0-9]{0,2}$' then 'INTERVAL is 1 to 999'
        when p.name = 'COUNT' and p.value !~ '^0*[1-9][0-9]{0,3}$' then 'COUNT is 1 to 9999'
        when p.name = 'COUNT' and v_parts ? 'UNTIL' then 'COUNT and UNTIL exclude each other'
        when p.name = 'UNTIL' and (p.value !~ '^[0-9]{8}(T([01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]Z?)?$' or private.rrule_date(p.value) is null)
          then 'UNTIL is a date between 1970 and 2199, such as 20261231, or a date and time, such as 20261231T235959Z'
        when p.name = 'WKST' and p.value !~ '^(MO|TU|WE|TH|FR|SA|SU)$' then 'WKST is one of MO, TU, WE, TH, FR, SA, SU'
        when p.name = 'BYDAY' and p.value !~ '^([+-]?0?[1-9]|[+-]?[1-4][0-9]|[+-]?5[0-3])?(MO|TU|WE|TH|FR|SA|SU)(,([+-]?0?[1-9]|[+-]?[1-4][0-9]|[+-]?5[0-3])?(MO|TU|WE|TH|FR|SA|SU))*$'
          then 'BYDAY is a list of days, such as MO,WE or 1MO,-1FR'
        when p.name = 'BYDAY' and p.value ~ '[0-9]' and v_frequency in ('DAILY', 'WEEKLY')
          then format('BYDAY has no numbers with FREQ=%s: there is no second Monday in it', v_frequency)
        when p.name = 'BYMONTHDAY' and p.value !~ '^[+-]?(0?[1-9]|[12][0-9]|3[01])(,[+-]?(0?[1-9]|[12][0-9]|3[01]))*$'
          then 'BYMONTHDAY is a list of 1 to 31, or -1 (the last day) to -31'
        when p.name = 'BYMONTHDAY' and v_frequency = 'WEEKLY' then 'BYMONTHDAY does not go with FREQ=WEEKLY'
        when p.name = 'BYMONTH' and p.value !~ '^(0?[1-9]|1[0-2])(,(0?[1-9]|1[0-2]))*$' then 'BYMONTH is a list of 1 to 12'
        when p.name = 'BYSETPOS' and p.value !~ '^[+-]?(0{0,2}[1-9]|0?[1-9][0-9]|[12][0-9]{2}|3[0-5][0-9]|36[0-6])(,[+-]?(0{0,2}[1-9]|0?[1-9][0-9]|[12][0-9]{2}|3[0-5][0-9]|36[0-6]))*$'
          then 'BYSETPOS is a list of 1 to 366, or -1 (the last) to -366'
        when p.name = 'BYSETPOS' and not v_parts ?| array['BYDAY', 'BYMONTHDAY', 'BYMONTH'] then 'BYSETPOS needs days to choose from: BYDAY, BYMONTHDAY or BYMONTH'
      end as message
    from private.rrule_parts(p_rrule) p
  ) e
  where e.message is not null;
  return v_errors || private.input_error(v_frequency is null, p_field || '.FREQ', 'Say how often: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY');
end;
$$;
comment on function private.rrule_errors(text, text) is
  'What is wrong with a recurrence rule, every part at once; the field of a part is the rule''s, a dot and the part''s name.';

create function private.rrule_numbers(p_list text) returns smallint[]
language sql immutable set search_path = ''
return (select array_agg(n.number::smallint order by n.number::smallint) from unnest(string_to_array(p_list, ',')) as n(number));
comment on function private.rrule_numbers(text) is 'A list of numbers as a recurrence rule writes it; null for null.';

create function private.read_rrule(p_rrule text, p_field text default 'p_rrule') returns private.recurrence
language plpgsql stable set search_path = ''
as $$
declare
  v_days constant text[] := array['MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU'];
  v_parts jsonb;
  v_rule private.recurrence;
begin
  perform private.fail_input(private.rrule_errors(p_rrule, p_field));
  v_parts := (select jsonb_object_agg(p.name, p.value) from private.rrule_parts(p_rrule) p);
  v_rule.frequency := v_parts ->> 'FREQ';
  v_rule.step := coalesce((v_parts ->> 'INTERVAL')::integer, 1);
  v_rule.occurrences := (v_parts ->> 'COUNT')::integer;
  v_rule.until_text := v_parts ->> 'UNTIL';
  v_rule.months := private.rrule_numbers(v_parts ->> 'BYMONTH');
  v_rule.month_days := private.rrule_numbers(v_parts ->> 'BYMONTHDAY');
  v_rule.positions := private.rrule_numbers(v_parts ->> 'BYSETPOS');
  v_rule.week_starts := coalesce(array_position(v_days, v_parts ->> 'WKST'), 1);
  select array_agg(array_position(v_days, right(d.item, 2))::smallint order by d.n),
    array_agg(coalesce(nullif(left(d.item, -2), ''), '0')::smallint order by d.n)
  into v_rule.weekdays, v_rule.nths
  from unnest(string_to_array(v_parts ->> 'BYDAY', ',')) with ordinality as d(item, n);
  return v_rule;
end;
$$;
comment on function private.read_rrule(text, text) is 'Reads a recurrence rule of RFC 5545; raises invalid_input naming every part at fault.';

-- The last date a rule may have. UNTIL is a date, a wall-clock time, or an instant (Z): then it matters when, and where,
-- things start.
create function private.recurrence_ends_on(p_rule private.recurrence, p_start_time time, p_time_zone text) returns date
language sql stable set search_path = ''
return (
  select case
      when length(p_rule.until_text) = 8 or p_start_time <= u.wall::time then u.wall::date
      else u.wall::date - 1
    end
  from (
    select case
        when length(p_rule.until_text) = 8 then l.wall
        when p_rule.until_text like '%Z' then l.wall at time zone 'UTC' at time zone p_time_zone
        else l.wall
      end as wall
    from (
      select private.rrule_date(p_rule.until_text)
        + coalesce(nullif(rtrim(substr(p_rule.until_text, 10), 'Z'), ''), '000000')::time as wall
    ) l
  ) u
);
comment on function private.recurrence_ends_on(private.recurrence, time, text) is
  'The last date UNTIL leaves a rule whose happenings start at this time in this zone; null without UNTIL.';

-- Every date from the first period on is looked at once, in one pass, whatever the rule: one that matches nothing costs
-- what any other does. Where a date is skipped because of INTERVAL it is never made. Between 1970 and 2199 there are
-- 84,000 dates; what is asked for is at most p_through.
--
-- Where the standard leaves it open: the first date belongs to it only when the rule says so; COUNT counts the rule's
-- dates from the first date on, excluded ones too; BYSETPOS counts within the whole period, also before the first date.
create function private.recurrence_dates(p_rule private.recurrence, p_first date, p_through date) returns setof date
language plpgsql immutable rows 100 set search_path = ''
as $$
#variable_conflict use_column
declare
  v_months smallint[] := p_rule.months;
  v_month_days smallint[] := p_rule.month_days;
  v_weekdays smallint[] := p_rule.weekdays;
  v_nths smallint[] := p_rule.nths;
  v_in_month constant boolean := p_rule.frequency = 'MONTHLY' or p_rule.months is not null;
  v_starts date; -- of the period the first date is in
begin
  if p_first not between date '1970-01-01' and date '2199-12-31' or p_through < p_first then
    return;
  end if;
  -- What the rule leaves open, the first date says.
  if v_weekdays is null and v_month_days is null then
    case p_rule.frequency
      when 'YEARLY' then
        v_months := coalesce(v_months, array[extract(month from p_first)]::smallint[]);
        v_month_days := array[extract(day from p_first)];
      when 'MONTHLY' then
        v_month_days := array[extract(day from p_first)];
      when 'WEEKLY' then
        v_weekdays := array[extract(isodow from p_first)];
        v_nths := array[0];
      else
        null;
    end case;
  end if;
  v_starts := case p_rule.frequency
      when 'DAILY' then p_first
      when 'WEEKLY' then p_first - (extract(isodow from p_first)::integer - p_rule.week_starts + 7) % 7
      when 'MONTHLY' then make_date(extract(year from p_first)::integer, extract(month from p_first)::integer, 1)
      else make_date(extract(year from p_first)::integer, 1, 1)
    end;
  return query
    with periods as (
      select p.n, case p_rule.frequency
          when 'DAILY' then v_starts + p.n * p_rule.step
          when 'WEEKLY' then v_starts + 7 * p.n * p_rule.step
          when 'MONTHLY' then (v_starts + make_interval(months => p.n * p_rule.step))::date
          else (v_starts + make_interval(years => p.n * p_rule.step))::date
        end as starts
      from generate_series(0, (least(p_through, date '2199-12-31') - v_starts)
        / (p_rule.step * case p_rule.frequency when 'DAILY' then 1 when 'WEEKLY' then 7 when 'MONTHLY' then 28 else 365 end)) as p(n)
    ),
    days as (
      select p.n, p.starts + d.offset_days as day
      from periods p
      cross join lateral generate_series(0, case p_rule.frequency
          when 'DAILY' then 0
          when 'WEEKLY' then 6
          when 'MONTHLY' then (p.starts + interval '1 month')::date - p.starts - 1
          else (p.starts + interval '1 year')::date - p.starts - 1
        end) as d(offset_days)
      where p.starts <= p_through
    ),
    known as (
      select d.n, d.day, extract(month from d.day)::smallint as month, extract(day from d.day)::smallint as from_start,
        extract(isodow from d.day)::smallint as weekday, extract(doy from d.day)::integer as day_of_year
      from days d
      where v_months is null or extract(month from d.day)::smallint = any(v_months)
    ),
    matching as (
      select k.n, k.day
      from known k
      cross join lateral (
        select case when v_in_month then (date_trunc('month', k.day::timestamp) + interval '1 month')::date - k.day
          else make_date(extract(year from k.day)::integer + 1, 1, 1) - k.day end as to_end,
          case when v_in_month then k.from_start else k.day_of_year end as since_start
      ) e
      where (v_weekdays is null or exists (
          select from unnest(v_weekdays, v_nths) as w(weekday, nth)
          where w.weekday = k.weekday and w.nth in (0, (e.since_start - 1) / 7 + 1, -((e.to_end - 1) / 7 + 1))
        ))
        and (v_month_days is null or k.from_start = any(v_month_days)
          or k.day - (date_trunc('month', k.day::timestamp) + interval '1 month')::date = any(v_month_days))
    ),
    chosen as (
      select m.day
      from (
        select m.n, m.day, row_number() over (partition by m.n order by m.day) as position, count(*) over (partition by m.n) as size
        from matching m
      ) m
      where p_rule.positions is null or m.position = any(p_rule.positions) or m.position - m.size - 1 = any(p_rule.positions)
    )
    select c.day
    from (select c.day from chosen c where c.day >= p_first order by c.day limit p_rule.occurrences) c
    where c.day <= least(p_through, date '2199-12-31')
    order by c.day;
end;
$$;
comment on function private.recurrence_dates(private.recurrence, date, date) is
  'The dates of a recurrence rule from its first date through another, in order; UNTIL is for private.recurrence_ends_on.';
