-- Cron expressions: when something is due, in a time zone.
--
-- Five fields as cron(8) reads them: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday); lists,
-- ranges, steps after * or a range, names of months and days. Where neither day field begins with *, a day of either
-- counts; otherwise it must be a day of both.
--
-- Where the clock jumps, as in cron(8): what is due at certain hours and falls in the time that is skipped is due once,
-- right after the jump, and in the time that comes twice the first time only. What is due every hour (the hour field
-- begins with *) goes on with real time: nothing in the hour that is skipped, both times in the one that comes twice.
--
-- Functions that ask one question are in plpgsql, which plans it once a session: everything here is asked for every job.
-- Compiling such a plan, as some servers do with what looks expensive, takes a thousand times as long as running it.

create function private.cron_field(p_field text, p_minimum integer, p_maximum integer, p_names text[] default '{}') returns integer[]
language plpgsql immutable set search_path = '' set plan_cache_mode = 'force_generic_plan' set jit = 'off'
as $$
begin
  return (
    with words as (
      select m.parts, m.parts[1] = '*' as is_all, m.parts[2] as first_word, coalesce(m.parts[3], m.parts[2]) as last_word
      from unnest(string_to_array(lower(p_field), ',')) as t(part)
      left join lateral regexp_match(t.part, '^(\*|([a-z]{3}|\d{1,2})(?:-([a-z]{3}|\d{1,2}))?)(?:/(\d{1,2}))?$') as m(parts) on true
    ),
    numbers as (
      select case when w.is_all then p_minimum when w.first_word ~ '\d' then w.first_word::integer
          else array_position(p_names, w.first_word) + p_minimum - 1 end as first,
        -- A week that is said to end on a Sunday began before it.
        case when w.is_all then p_maximum when w.last_word ~ '\d' then w.last_word::integer
          when w.parts[3] = 'sun' and p_maximum = 7 then 7
          else array_position(p_names, w.last_word) + p_minimum - 1 end as last,
        case when w.parts[4] is null then 1 when w.is_all or w.parts[3] is not null then w.parts[4]::integer end as step
      from words w
    ),
    ranges as (
      select n.first, n.last, n.step,
        coalesce(n.first >= p_minimum and n.last <= p_maximum and n.first <= n.last
          and n.step between 1 and p_maximum - p_minimum + 1, false) as makes_sense
      from numbers n
    )
    select array_agg(distinct case when p_maximum = 7 then v.value % 7 else v.value end)
    from ranges r
    left join lateral generate_series(r.first, r.last, case when r.makes_sense then r.step else 1 end) as v(value) on r.makes_sense
    having bool_and(r.makes_sense)
  );
end;
$$;
comment on function private.cron_field(text, integer, integer, text[]) is
  'The values one field of a cron expression stands for, or null when it makes no sense. With a maximum of 7 it is the day of the week, and 7 is 0.';

create function private.cron_fields(p_cron text) returns table (
  minutes integer[], hours integer[], days integer[], months integer[], weekdays integer[], is_every_hour boolean, is_either_day boolean
)
language plpgsql immutable rows 1 set search_path = ''
as $$
declare
  v_words constant text[] := regexp_split_to_array(p_cron, '\s+');
begin
  minutes := private.cron_field(v_words[1], 0, 59);
  hours := private.cron_field(v_words[2], 0, 23);
  days := private.cron_field(v_words[3], 1, 31);
  months := private.cron_field(v_words[4], 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}');
  weekdays := private.cron_field(v_words[5], 0, 7, '{sun,mon,tue,wed,thu,fri,sat}');
  is_every_hour := v_words[2] like '*%';
  is_either_day := v_words[3] not like '*%' and v_words[5] not like '*%';
  return next;
end;
$$;
comment on function private.cron_fields(text) is
  'What a cron expression of five fields says: the values of each (null where it makes no sense), whether it is due every hour by real time, and whether a day of either kind counts.';

create function private.cron_errors(p_cron text) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_fields record;
  v_words constant text[] := regexp_split_to_array(coalesce(p_cron, ''), '\s+');
  v_errors jsonb;
begin
  if cardinality(v_words) <> 5 or '' = any(v_words) then
    return private.input_error(true, 'cron', 'A cron expression has five fields: minute, hour, day of the month, month, day of the week');
  end if;
  select f.* into v_fields from private.cron_fields(p_cron) f;
  v_errors := private.input_error(v_fields.minutes is null, 'cron', format('The minute (first field) %s is not made of 0 to 59', v_words[1]))
    || private.input_error(v_fields.hours is null, 'cron', format('The hour (second field) %s is not made of 0 to 23', v_words[2]))
    || private.input_error(v_fields.days is null, 'cron', format('The day of the month (third field) %s is not made of 1 to 31', v_words[3]))
    || private.input_error(v_fields.months is null, 'cron', format('The month (fourth field) %s is not made of 1 to 12 or jan to dec', v_words[4]))
    || private.input_error(v_fields.weekdays is null, 'cron', format('The day of the week (fifth field) %s is not made of 0 to 7 or sun to sat', v_words[5]));
  if v_errors = '[]' and not v_fields.is_either_day and not exists (
    select from unnest(v_fields.days) d cross join unnest(v_fields.months) m
    where d <= case when m = 2 then 29 when m in (4, 6, 9, 11) then 30 else 31 end
  ) then
    return private.input_error(true, 'cron', format('There is no day of the month (third field) %s in the month (fourth field) %s: it would never be due', v_words[3], v_words[4]));
  end if;
  return v_errors;
end;
$$;
comment on function private.cron_errors(text) is 'What is wrong with a cron expression, for fail_input(): which field, and what it may be made of.';

-- Zones jump by whole minutes, at whole minutes.
create function private.cron_instant(p_wall timestamp, p_time_zone text) returns timestamptz
language plpgsql stable strict set search_path = ''
as $$
begin
  return coalesce(
    private.local_to_instant(p_wall::date, p_wall::time, p_time_zone),
    (
      select min(m.at)
      from (select p_wall at time zone p_time_zone as at) late
      cross join lateral generate_series(late.at - ((late.at at time zone p_time_zone) - p_wall), late.at, interval '1 minute') as m(at)
      where m.at at time zone p_time_zone > p_wall
    )
  );
end;
$$;
comment on function private.cron_instant(timestamp, text) is
  'The instant something at a wall-clock time is due: the first of two, and right after the jump where the clock skips it.';

-- The nearest four days it is due on are enough: the day before, the day, the day after (which a zone may skip whole, as
-- Samoa did) and one more, or later ones. Forty years hold every day there is, such as a leap day that is a Sunday; they
-- are asked for only where 400 days have too few. A wall-clock time that comes twice does so within three hours, so that
-- of 361 minutes in a row one is the nearest.
create function private.cron_near(p_cron text, p_time_zone text, p_at timestamptz, p_direction integer) returns timestamptz
language plpgsql stable strict set search_path = '' set plan_cache_mode = 'force_generic_plan' set jit = 'off'
as $$
begin
  return (
    with fields as materialized (
      select f.*, p_at at time zone p_time_zone as wall from private.cron_fields(p_cron) f
    ),
    soon as materialized (
      select d.day
      from fields f
      cross join lateral (
        select f.wall::date + p_direction * n as day, n from generate_series(-1, 400) n
      ) d
      where extract(month from d.day)::integer = any(f.months)
        and case when f.is_either_day then extract(day from d.day)::integer = any(f.days) or extract(dow from d.day)::integer = any(f.weekdays)
          else extract(day from d.day)::integer = any(f.days) and extract(dow from d.day)::integer = any(f.weekdays) end
      order by d.n
      limit 4
    ),
    days as (
      select s.day from soon s
      union all
      (
        select d.day
        from fields f
        cross join lateral (
          select f.wall::date + p_direction * n as day, n from generate_series(401, 14700) n
        ) d
        where (select count(*) from soon) < 4
          and extract(month from d.day)::integer = any(f.months)
          and case when f.is_either_day then extract(day from d.day)::integer = any(f.days) or extract(dow from d.day)::integer = any(f.weekdays)
            else extract(day from d.day)::integer = any(f.days) and extract(dow from d.day)::integer = any(f.weekdays) end
        order by d.n
        limit 4
      )
    ),
    walls as (
      select d.day + make_time(h, m, 0) as wall, f.is_every_hour
      from fields f
      cross join days d
      cross join unnest(f.hours) h
      cross join unnest(f.minutes) m
      where case when p_direction > 0 then d.day + make_time(h, m, 0) > f.wall - interval '3 hours'
        else d.day + make_time(h, m, 0) < f.wall + interval '3 hours' end
      and (not f.is_every_hour or private.local_to_instant(d.day, time '12:00', p_time_zone) is not null)
      order by p_direction * extract(epoch from d.day + make_time(h, m, 0))
      limit 361
    ),
    instants as (
      select private.cron_instant(w.wall, p_time_zone) as at from walls w where not w.is_every_hour
      union all
      select o.at
      from walls w
      cross join lateral private.local_to_instant(w.wall::date, w.wall::time, p_time_zone) as l(at)
      cross join lateral (values (l.at), (w.wall at time zone p_time_zone)) as o(at)
      where w.is_every_hour and l.at is not null
    )
    select i.at
    from instants i
    where case when p_direction > 0 then i.at > p_at else i.at <= p_at end
    order by p_direction * extract(epoch from i.at)
    limit 1
  );
end;
$$;
comment on function private.cron_near(text, text, timestamptz, integer) is
  'The first instant after p_at (p_direction 1), or the last up to it (-1), that a cron expression names in a time zone.';

create function private.cron_next(p_cron text, p_time_zone text, p_after timestamptz) returns timestamptz
language sql stable strict set search_path = ''
return private.cron_near(p_cron, p_time_zone, p_after, 1);
comment on function private.cron_next(text, text, timestamptz) is 'When something is due next, after an instant.';

create function private.cron_previous(p_cron text, p_time_zone text, p_at timestamptz) returns timestamptz
language sql stable strict set search_path = ''
return private.cron_near(p_cron, p_time_zone, p_at, -1);
comment on function private.cron_previous(text, text, timestamptz) is 'When something was due last, at an instant or before it.';
