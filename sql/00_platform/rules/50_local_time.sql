-- Wall-clock time to instants. Local date, time and IANA zone are the truth; this is the one place that turns them
-- into instants, because `at time zone` alone silently moves a time in the hour that does not exist and takes the
-- second of the two in the hour that happens twice.

-- Two candidates: what Postgres makes of it, and the same with the offset in force a day earlier. In the fold these are
-- the two, of which the first counts; in the gap neither reads back as the wanted wall-clock time. No zone changes its
-- offset twice in a day. In plpgsql because bulk loads call it for every row, and it is three times as fast there.
create function private.local_to_instant(p_date date, p_time time, p_time_zone text) returns timestamptz
language plpgsql stable strict set search_path = ''
as $$
declare
  v_wanted constant timestamp := p_date + p_time;
  v_plain constant timestamptz := v_wanted at time zone p_time_zone;
  v_earlier constant timestamptz := v_plain - interval '24 hours'
    + (v_wanted - ((v_plain - interval '24 hours') at time zone p_time_zone));
begin
  if v_earlier at time zone p_time_zone = v_wanted then
    return least(v_earlier, v_plain);
  elsif v_plain at time zone p_time_zone = v_wanted then
    return v_plain;
  end if;
  return null;
end;
$$;
comment on function private.local_to_instant(date, time, text) is
  'The instant of a wall-clock time: null where the clock skips it, the first of the two where the clock repeats it.';

-- A use that ends at 02:00 on the night the clock jumps from 02:00 to 03:00 ends at the jump, although 02:00 is not
-- shown: an end is excluded, so what counts is the moment before it.
create function private.local_end_to_instant(p_date date, p_time time, p_time_zone text) returns timestamptz
language plpgsql stable strict set search_path = ''
as $$
declare
  v_moment_before constant timestamp := p_date + p_time - interval '1 microsecond';
begin
  return coalesce(
    private.local_to_instant(p_date, p_time, p_time_zone),
    private.local_to_instant(v_moment_before::date, v_moment_before::time, p_time_zone) + interval '1 microsecond'
  );
end;
$$;
comment on function private.local_end_to_instant(date, time, text) is
  'The instant a use ends at, by the wall clock: also where the clock jumps at that very moment; null inside the skipped time.';

create function private.describe_skipped(p_date date, p_time time, p_time_zone text) returns text
language sql stable set search_path = ''
return format('%s %s does not exist in %s: the clock skips it', p_date, left(p_time::text, 5), p_time_zone);
comment on function private.describe_skipped(date, time, text) is 'The sentence that refuses a wall-clock time the clock skips.';

create function private.fail_local_time(p_date date, p_time time, p_time_zone text, p_field text) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.fail('invalid_input', private.describe_skipped(p_date, p_time, p_time_zone), p_field,
    jsonb_build_object('date', p_date, 'time', p_time, 'time_zone', p_time_zone));
end;
$$;
comment on function private.fail_local_time(date, time, text, text) is 'Refuses a wall-clock time the clock skips.';

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
    from (select coalesce(p_time_zone, private.setting_text('organisation_time_zone')) as zone offset 0) z
    offset 0 -- or the planner asks for the zone anew for each mention of it
  ) l
);
comment on function private.describe_range(tstzrange, text) is
  'A range of instants as people read it, in a zone (by default the organisation''s): 2026-03-02 09:00–10:30 Europe/Paris.';
