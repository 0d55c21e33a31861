-- Importing meetings, second part: what overlaps what, and what follows from that.
--
-- Rows of one crn are one section: listed twice at the same time they are one thing told twice (two rooms, two
-- teachers, a lecture inside its laboratory), not a double booking. They never stand in each other's way, but need a
-- common key like all that overlaps. Everything else that overlaps clashes.

create type private.import_overlap as (
  kind text,
  resource_id uuid,
  row_number integer,
  with_row integer,
  is_one_section boolean,
  source_table text,
  source_id uuid,
  occurs_on date,
  source_kind text,
  title text,
  during tstzrange
);
comment on type private.import_overlap is
  'A row of a timetable that overlaps an earlier row (with_row), or a happening of the ledger (the columns after that).';

create function private.refuse_import_crowd(p_rows private.import_row[], p_resource_id uuid, p_date date, p_count bigint) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_name text := (
    select case when r.person_id = p_resource_id then r.person else r.place end
    from unnest(p_rows) r where p_resource_id in (r.person_id, r.place_id) limit 1
  );
begin
  perform private.fail('limit_exceeded',
    format('Too many rows overlap to compare them all: %s has %s on %s alone', v_name, p_count, p_date), 'p_rows',
    jsonb_build_object('name', v_name, 'date', p_date, 'rows', p_count),
    'Leave names empty that stand for no real person or place (online, to be announced).');
end;
$$;
comment on function private.refuse_import_crowd(private.import_row[], uuid, date, bigint) is
  'Raises limit_exceeded naming the person or place with the most rows on one date.';

-- All dates are in one zone and no row crosses midnight, so two rows that overlap have one date.
create function private.overlaps_in_import(p_rows private.import_row[]) returns private.import_overlap[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
declare
  v_most constant integer := 1000000;
  v_crowd record;
  v_found private.import_overlap[];
begin
  select u.id, u.date, u.uses, sum(u.uses * (u.uses - 1) / 2) over () as comparisons into v_crowd
  from (
    select x.id, r.date, count(*) as uses
    from unnest(p_rows) r
    cross join lateral (values (r.person_id), (r.place_id)) as x(id)
    where x.id is not null
    group by x.id, r.date
  ) u
  order by u.uses desc
  limit 1;
  if v_crowd.comparisons > 20 * v_most then
    perform private.refuse_import_crowd(p_rows, v_crowd.id, v_crowd.date, v_crowd.uses);
  end if;
  with uses as materialized (
    select u.kind, u.id, r.date, r.row_number, r.starts_at, r.ends_at, r.external_ref
    from unnest(p_rows) r
    cross join lateral (values ('person', r.person_id), ('place', r.place_id)) as u(kind, id)
    where u.id is not null
  )
  select array_agg(
    row(o.kind, o.id, o.row_number, o.with_row, o.is_one_section, null, null, null, null, null, null)::private.import_overlap
    order by o.row_number, o.with_row, o.kind)
  into v_found
  from (
    select b.kind, b.id, b.row_number, a.row_number as with_row, coalesce(a.external_ref = b.external_ref, false) as is_one_section
    from uses a
    join uses b on b.id = a.id and b.date = a.date
    where a.row_number < b.row_number and a.starts_at < b.ends_at and b.starts_at < a.ends_at
    limit v_most + 1
  ) o;
  if cardinality(v_found) > v_most then
    perform private.refuse_import_crowd(p_rows, v_crowd.id, v_crowd.date, v_crowd.uses);
  end if;
  return coalesce(v_found, '{}');
end;
$$;
comment on function private.overlaps_in_import(private.import_row[]) is
  'Every pair of rows that use one person or place at once, in the order of the later row.';

create function private.overlaps_with_ledger(p_rows private.import_row[], p_names private.import_name[], p_time_zone text)
returns private.import_overlap[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    with uses as materialized (
      select u.kind, u.id, r.date, r.row_number, r.starts_at, r.ends_at, r.external_ref
      from unnest(p_rows) r
      cross join lateral (values ('person', r.person_id), ('place', r.place_id)) as u(kind, id)
      where u.id is not null and r.fate = 'new'
    ), standing as materialized (
      select c.resource_id, c.source_table, c.source_id, c.occurs_on, c.kind, c.title, c.during, d.day::date as day
      from public.claims c
      -- A claim may run over several days, a row never does: they meet on the row's day, once.
      cross join lateral generate_series(
        (lower(c.during) at time zone p_time_zone)::date::timestamp,
        ((upper(c.during) - interval '1 microsecond') at time zone p_time_zone)::date::timestamp,
        interval '1 day'
      ) as d(day)
      where c.resource_id = any(array(select n.resource_id from unnest(p_names) n where not n.is_new))
        and c.during && (select tstzrange(min(u.starts_at), max(u.ends_at)) from uses u)
    )
    select coalesce(
      array_agg(
        row(u.kind, u.id, u.row_number, null, o.row_number is not null, s.source_table, s.source_id, s.occurs_on, s.kind, s.title,
          s.during)::private.import_overlap
        order by u.row_number, lower(s.during), s.source_id, u.kind),
      '{}')
    from uses u
    join standing s on s.resource_id = u.id and s.day = u.date and s.during && tstzrange(u.starts_at, u.ends_at)
    left join unnest(p_rows) o
      on o.meeting_id = s.source_id and s.source_table = 'meetings' and o.external_ref = u.external_ref and o.fate = 'unchanged'
  );
end;
$$;
comment on function private.overlaps_with_ledger(private.import_row[], private.import_name[], text) is
  'Every happening of the ledger that a new row overlaps; a meeting of an unchanged row of the same crn is its own section.';

create function private.clashes_of_import(p_rows private.import_row[], p_overlaps private.import_overlap[])
returns private.import_overlap[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return array(
    select o
    from unnest(p_overlaps) o
    join unnest(p_rows) r on r.row_number = o.row_number and r.fate = 'new'
    left join unnest(p_rows) w on w.row_number = o.with_row
    where not o.is_one_section and (o.with_row is null or w.fate = 'new')
    order by o.row_number, o.with_row
  );
end;
$$;
comment on function private.clashes_of_import(private.import_row[], private.import_overlap[]) is
  'Of the overlaps, those that stand in the way of a new row, in the order of the rows.';

-- First come, first served, exactly: whether a row fits depends on whether the rows before it did. That is one pass
-- over the clashes (no statement, no row of any table); rounds of statements over the same clashes would need as many
-- rounds as the longest chain of rows has links.
create function private.clashes_that_decide(p_clashes private.import_overlap[]) returns private.import_overlap[]
language plpgsql immutable set search_path = ''
as $$
declare
  v_clash private.import_overlap;
  v_left_out boolean[] := array_fill(false, array[coalesce((select max(c.row_number) from unnest(p_clashes) c), 0)]);
  v_deciding private.import_overlap[] := '{}';
begin
  -- In the order of the later row, so that the earlier one is settled by then.
  foreach v_clash in array p_clashes loop
    if not v_left_out[v_clash.row_number] and (v_clash.with_row is null or not v_left_out[v_clash.with_row]) then
      v_left_out[v_clash.row_number] := true;
      v_deciding := array_append(v_deciding, v_clash);
    end if;
  end loop;
  return v_deciding;
end;
$$;
comment on function private.clashes_that_decide(private.import_overlap[]) is
  'Of clashes in the order of the later row: for each row that cannot be imported when the ledger and earlier rows go first, what it clashes with.';

-- Union-find with path halving over plain integers: as good as linear in the pairs, whatever their shape.
create function private.connected(p_one integer[], p_other integer[]) returns table (node integer, root integer)
language plpgsql immutable set search_path = ''
as $$
declare
  v_parent integer[] := array(
    select g from generate_series(1, (select coalesce(max(n), 0) from (select unnest(p_one) as n union all select unnest(p_other)) e)) g
  );
  v_one integer;
  v_other integer;
begin
  for i in 1..coalesce(cardinality(p_one), 0) loop
    v_one := p_one[i];
    while v_parent[v_one] <> v_one loop
      v_parent[v_one] := v_parent[v_parent[v_one]];
      v_one := v_parent[v_one];
    end loop;
    v_other := p_other[i];
    while v_parent[v_other] <> v_other loop
      v_parent[v_other] := v_parent[v_parent[v_other]];
      v_other := v_parent[v_other];
    end loop;
    -- The smaller number stays the root: groups are numbered by their first member.
    v_parent[greatest(v_one, v_other)] := least(v_one, v_other);
  end loop;
  -- A parent is never greater than its child, so by the time a node is reached its parent's root is known.
  for i in 1..coalesce(cardinality(v_parent), 0) loop
    v_parent[i] := v_parent[v_parent[i]];
  end loop;
  return query
    select n.node, v_parent[n.node] from (select unnest(p_one) as node union select unnest(p_other)) n order by n.node;
end;
$$;
comment on function private.connected(integer[], integer[]) is
  'Which nodes belong together when each pair (p_one[i], p_other[i]) does: every node named, with the smallest of its group.';
