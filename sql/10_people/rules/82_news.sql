-- Telling people what a statement did: one notification a person and kind, however many rows it changed.

-- Asked for every line that is told, hence plpgsql: in SQL each call would start the executor.
create function private.when_in_words(p_date date, p_start_time time, p_end_time time, p_time_zone text) returns text
language plpgsql stable set search_path = ''
as $$
begin
  return to_char(p_date::timestamp, 'FMDay FMDD FMMonth YYYY')
    || coalesce(', ' || left(p_start_time::text, 5) || '–' || left(p_end_time::text, 5) || format(' (%s)', p_time_zone), '');
end;
$$;
comment on function private.when_in_words(date, time, time, text) is
  'A local date and time as people say it: Monday 2 March 2026, 09:00–10:30 (Europe/Paris); without a time just the day.';

create type private.news as (recipient_id uuid, kind text, title text, title_of_many text, line text, at timestamptz, source_table text, source_id text);
comment on type private.news is
  'One thing to tell somebody: its title when it is the only one, the title of several with %s for their number, its line of the body, and when it happens. Of the second on, by when they happen and by source_id, the title may be missing, from the 21st on the line.';

-- Who did it knows. Told twice in one transaction, as when something is taken back and done again, it is told once. A
-- repair tells nobody: it puts right what people know already, and what they were told could not be undone.
create function private.tell_people(p_news private.news[]) returns integer
language plpgsql volatile security definer set search_path = '' set enable_nestloop = on
as $$
declare
  v_told integer;
begin
  if coalesce(cardinality(p_news), 0) = 0 or current_setting('classbase.fix', true) <> '' then
    return 0;
  end if;
  insert into public.notifications (recipient_id, kind, title, body, source_table, source_id)
  select m.recipient_id, m.kind, m.title, m.body, m.source_table, m.source_id
  from (
    select n.recipient_id, n.kind,
      case count(*) when 1 then min(n.title) else format(min(n.title_of_many), count(*)) end as title,
      string_agg(n.line, E'\n' order by n.position) filter (where n.position <= 20)
        || case when count(*) > 20 then format(E'\nand %s more', count(*) - 20) else '' end as body,
      min(n.source_table) as source_table, case count(*) when 1 then min(n.source_id) end as source_id
    from (
      select u.*, row_number() over (partition by u.recipient_id, u.kind order by u.at, u.source_id) as position
      from unnest(p_news) u
      where u.recipient_id is distinct from (select private.current_profile_id())
    ) n
    join public.user_profiles p on p.id = n.recipient_id and p.is_active
    group by n.recipient_id, n.kind
  ) m
  where not exists (
    select from public.notifications t
    where t.recipient_id = m.recipient_id and t.created_at = private.now() and t.kind = m.kind and t.title = m.title and t.body = m.body
  )
  order by m.recipient_id, m.kind;
  get diagnostics v_told = row_count;
  return v_told;
end;
$$;
comment on function private.tell_people(private.news[]) is
  'Tells each person what concerns them, in one notification a kind with up to 20 lines; not who did it, nor who left. Returns how many were told.';
