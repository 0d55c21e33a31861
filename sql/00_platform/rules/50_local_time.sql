-- Wall-clock time to instants. Local date, time and IANA zone are the truth; this is the one place that turns them
-- into instants, because `at time zone` alone silently moves a time in the hour that does not exist and takes the
-- second of the two in the hour that happens twice.

-- The offset in force a day earlier tells the two candidates apart: it gives the first of the two in the fold, and in
-- the gap neither candidate reads back as the wanted wall-clock time. No zone changes its offset twice in a day.
create function private.local_to_instant(p_date date, p_time time, p_time_zone text) returns timestamptz
language sql stable strict set search_path = ''
return (
  select min(c.candidate)
  from (select (p_date + p_time) as wanted, (p_date + p_time) at time zone p_time_zone as plain) l
  cross join lateral (
    values (l.plain),
      (l.plain - interval '24 hours'
        + (l.wanted - ((l.plain - interval '24 hours') at time zone p_time_zone)))
  ) as c(candidate)
  where c.candidate at time zone p_time_zone = l.wanted
);
comment on function private.local_to_instant(date, time, text) is
  'The instant of a wall-clock time: null where the clock skips it, the first of the two where the clock repeats it.';

create function private.today() returns date
language sql stable set search_path = ''
return (private.now() at time zone private.setting_text('organisation_time_zone'))::date;
comment on function private.today() is 'Today''s date where the organisation is.';

create function private.describe_range(p_during tstzrange, p_time_zone text default null) returns text
language sql stable set search_path = ''
return (
  select to_char(l.starts, 'YYYY-MM-DD HH24:MI') || '–'
    || case
      when l.starts::date = l.ends::date then to_char(l.ends, 'HH24:MI')
      when l.ends = l.starts::date + 1 then '24:00'
      else to_char(l.ends, 'YYYY-MM-DD HH24:MI')
    end || ' ' || l.zone
  from (
    select lower(p_during) at time zone z.zone as starts, upper(p_during) at time zone z.zone as ends, z.zone
    from (select coalesce(p_time_zone, private.setting_text('organisation_time_zone')) as zone) z
  ) l
);
comment on function private.describe_range(tstzrange, text) is
  'A range of instants as people read it, in a zone (by default the organisation''s): 2026-03-02 09:00–10:30 Europe/Paris.';
