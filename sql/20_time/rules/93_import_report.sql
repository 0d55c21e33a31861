-- Importing meetings, fourth part: what is told. One document for all modes, the dry run, and refusals.

create function private.describe_import_row(p_row private.import_row) returns jsonb
language sql immutable set search_path = ''
return jsonb_build_object(
    'row', p_row.row_number, 'line', p_row.line, 'crn', p_row.external_ref, 'title', p_row.title,
    'date', to_char(p_row.date, 'YYYY-MM-DD'), 'start_time', to_char(p_row.start_time, 'HH24:MI'), 'end_time', to_char(p_row.end_time, 'HH24:MI'));
comment on function private.describe_import_row(private.import_row) is 'A row of a timetable, as reports name it.';

create function private.describe_import_overlaps(
  p_overlaps private.import_overlap[], p_rows private.import_row[], p_names private.import_name[]
) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
declare
  -- Not as the session would write it: a report is the same over every door.
  v_instant constant text := 'YYYY-MM-DD"T"HH24:MI:SS"Z"';
  v_sees_all constant boolean := private.has_permission('read:calendar');
  v_self constant uuid := private.current_profile_id();
begin
  return (
    select coalesce(
      jsonb_agg(
        private.describe_import_row(r) || jsonb_build_object('kind', o.kind, 'resource', n.name, 'with',
          case when o.with_row is not null then private.describe_import_row(w)
            else jsonb_build_object(
                'starts_at', to_char(lower(o.during) at time zone 'UTC', v_instant), 'ends_at', to_char(upper(o.during) at time zone 'UTC', v_instant))
              || case when v_sees_all or o.resource_id = v_self then jsonb_build_object(
                'source_table', o.source_table, 'source_id', o.source_id, 'occurs_on', to_char(o.occurs_on, 'YYYY-MM-DD'),
                'kind', o.source_kind, 'title', o.title) else '{}' end
          end)
        order by o.position),
      '[]')
    from unnest(p_overlaps) with ordinality as o(
      kind, resource_id, row_number, with_row, is_one_section, source_table, source_id, occurs_on, source_kind, title, during, position)
    join unnest(p_rows) r on r.row_number = o.row_number
    left join unnest(p_rows) w on w.row_number = o.with_row
    join unnest(p_names) n on n.resource_id = o.resource_id
  );
end;
$$;
comment on function private.describe_import_overlaps(private.import_overlap[], private.import_row[], private.import_name[]) is
  'Overlaps as reports list them; of the ledger''s happenings only as much as the caller may read.';

-- In a place or of a person: how many pairs of dated rows of different crn overlap, and how many pairs of crn that are.
create function private.count_import_overlaps(p_overlaps private.import_overlap[], p_rows private.import_row[]) returns jsonb
language plpgsql immutable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    select jsonb_object_agg(k.kind, jsonb_build_object('meetings', coalesce(f.meetings, 0), 'pairs', coalesce(f.pairs, 0)))
    from (values ('place'), ('person')) as k(kind)
    left join (
      select o.kind, count(*) as meetings,
        count(distinct (
          least(coalesce(r.external_ref, 'row ' || r.row_number), coalesce(w.external_ref, 'row ' || w.row_number)),
          greatest(coalesce(r.external_ref, 'row ' || r.row_number), coalesce(w.external_ref, 'row ' || w.row_number))
        )) as pairs
      from unnest(p_overlaps) o
      join unnest(p_rows) r on r.row_number = o.row_number
      join unnest(p_rows) w on w.row_number = o.with_row
      where not o.is_one_section
      group by o.kind
    ) f on f.kind = k.kind
  );
end;
$$;
comment on function private.count_import_overlaps(private.import_overlap[], private.import_row[]) is
  'Overlaps within a timetable, counted by kind of resource.';

create function private.describe_import_faults(p_faults private.import_fault[], p_limit integer) returns jsonb
language sql immutable set search_path = ''
begin atomic
  select coalesce(
    jsonb_agg(
      jsonb_build_object('row', f.row_number, 'line', f.line, 'column', f.column_name, 'code', f.code, 'reason', f.reason, 'value', f.value)
      order by f.position),
    '[]')
  from unnest(p_faults) with ordinality as f(row_number, line, column_name, code, reason, value, position)
  where f.position <= p_limit;
end;
comment on function private.describe_import_faults(private.import_fault[], integer) is 'Faults as reports list them, at most so many.';

-- p_overlaps and p_ledger are what was found; p_reasons tells of each row left out what it clashes with.
create function private.import_report(
  p_request jsonb, p_rows private.import_row[], p_names private.import_name[], p_overlaps private.import_overlap[],
  p_ledger private.import_overlap[], p_reasons private.import_overlap[], p_faults private.import_fault[],
  p_members private.import_member[], p_is_refused boolean, p_limit integer
) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    with fates as (
      select count(*) as rows, count(*) filter (where r.fate = 'new') as new, count(*) filter (where r.fate = 'unchanged') as unchanged,
        count(*) filter (where r.fate = 'repeated') as repeated
      from unnest(p_rows) r
    ), names as (
      select count(*) filter (where n.kind = 'person') as people, count(*) filter (where n.kind = 'place') as places,
        coalesce(jsonb_agg(n.name order by n.key) filter (where n.kind = 'person' and n.is_new), '[]') as new_people,
        coalesce(jsonb_agg(n.name order by n.key) filter (where n.kind = 'place' and n.is_new), '[]') as new_places
      from unnest(p_names) n
    ), clashes as (
      select array_agg(o.overlap order by o.position) filter (where o.position <= p_limit) as listed, count(*) as total
      from (
        select u as overlap, row_number() over (order by u.row_number, u.with_row, u.kind) as position
        from unnest(p_overlaps || p_ledger) u
        where not u.is_one_section
      ) o
    )
    select p_request || jsonb_build_object(
      'rows', f.rows,
      'resources', jsonb_build_object('people', n.people, 'places', n.places),
      'new_people', n.new_people,
      'new_places', n.new_places,
      'overlaps', private.count_import_overlaps(p_overlaps, p_rows),
      'ledger_overlaps', jsonb_build_object(
        'place', (select count(*) from unnest(p_ledger) o where o.kind = 'place' and not o.is_one_section),
        'person', (select count(*) from unnest(p_ledger) o where o.kind = 'person' and not o.is_one_section)),
      'overlapping', private.describe_import_overlaps(c.listed, p_rows, p_names),
      'overlapping_total', c.total,
      'imported', case when p_is_refused then 0 else f.new end,
      'unchanged', f.unchanged,
      'repeated', f.repeated,
      'left_out', private.describe_import_overlaps(p_reasons, p_rows, p_names),
      'overrides', (
        select jsonb_build_object('groups', count(distinct m.group_id), 'meetings', count(m.row_number)) from unnest(p_members) m
      ),
      'refused', p_is_refused,
      'errors', private.describe_import_faults(p_faults, 1000),
      'errors_total', coalesce(cardinality(p_faults), 0))
    from fates f, names n, clashes c
  );
end;
$$;
comment on function private.import_report(
  jsonb, private.import_row[], private.import_name[], private.import_overlap[], private.import_overlap[], private.import_overlap[],
  private.import_fault[], private.import_member[], boolean, integer) is
  'The report of an import, or of what one would do.';
