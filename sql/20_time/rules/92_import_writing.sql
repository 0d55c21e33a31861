-- Importing meetings, third part: names become resources, rows become meetings, what overlaps becomes override groups.

create function private.settle_import_rows(p_rows private.import_row[], p_names private.import_name[]) returns private.import_row[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    select coalesce(
      array_agg(
        row(r.row_number, r.line,
          case
            when r.fate <> 'new' then r.fate
            when r.first_row < r.row_number then 'repeated'
            when m.id is not null then 'unchanged'
            else 'new'
          end,
          r.external_ref, r.course, r.section, r.title, r.person, r.place, r.capacity, r.enrolled,
          r.date, r.start_time, r.end_time, r.starts_at, r.ends_at, r.meeting_id,
          case when r.fate <> 'bad' then p.resource_id end, case when r.fate <> 'bad' then l.resource_id end)::private.import_row
        order by r.row_number),
      '{}')
    from (
      select u.*, min(u.row_number) over (partition by u.meeting_id) as first_row from unnest(p_rows) u
    ) r
    left join public.meetings m on m.id = r.meeting_id
    left join unnest(p_names) p on p.kind = 'person' and p.key = lower(r.person)
    left join unnest(p_names) l on l.kind = 'place' and l.key = lower(r.place)
  );
end;
$$;
comment on function private.settle_import_rows(private.import_row[], private.import_name[]) is
  'Gives rows their resources, and says which are new, repeated within the file, or imported before.';

create function private.make_import_resources(p_names private.import_name[]) returns void
language sql volatile set search_path = ''
begin atomic
  insert into public.user_profiles (id, full_name)
  select n.resource_id, n.name from unnest(p_names) n where n.is_new and n.kind = 'person' order by n.key;
  insert into public.locations (id, name)
  select n.resource_id, n.name from unnest(p_names) n where n.is_new and n.kind = 'place' order by n.key;
end;
comment on function private.make_import_resources(private.import_name[]) is
  'Makes profiles without login and locations for the new names; their resources and horizons come with them.';

create function private.faults_beyond_horizon(p_rows private.import_row[], p_names private.import_name[]) returns private.import_fault[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    with new_ones as materialized (
      select private.now() + make_interval(days => private.setting_integer('ledger_horizon_days')) as claimed_until
    )
    select array_agg(
      row(r.row_number, r.line, 'date', 'limit_exceeded',
        format('%s can be booked until %s only', n.name, coalesce(h.claimed_until::date::text, d.claimed_until::date::text)),
        r.date::text)::private.import_fault
      order by r.row_number, n.kind)
    from new_ones d
    cross join unnest(p_rows) r
    cross join lateral (values (r.person_id), (r.place_id)) as u(id)
    join unnest(p_names) n on n.resource_id = u.id
    left join public.resource_horizons h on h.resource_id = n.resource_id
    where r.fate = 'new' and r.ends_at > coalesce(h.claimed_until, d.claimed_until)
  );
end;
$$;
comment on function private.faults_beyond_horizon(private.import_row[], private.import_name[]) is
  'The new rows that end after somebody or something they use can be booked; for new names, after where their horizon will be.';

-- Happenings before resources, like everybody who changes a happening: those that will join an override group, with
-- those of the groups they are in.
create function private.lock_import_sources(p_overlaps private.import_overlap[]) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.lock_sources(s.source_table, array_agg(s.source_id))
  from (
    select o.source_table, o.source_id from unnest(p_overlaps) o where o.with_row is null
    union
    select f.source_table, f.source_id
    from unnest(p_overlaps) o
    join public.override_members m on m.source_id = o.source_id and m.source_table = o.source_table
    join public.override_members f on f.override_id = m.override_id
  ) s
  group by s.source_table
  order by s.source_table;
end;
$$;
comment on function private.lock_import_sources(private.import_overlap[]) is
  'Locks the ledger''s happenings that rows overlap, before their resources are locked.';

create type private.import_member as (
  group_id uuid, is_one_section boolean, row_number integer, source_table text, source_id uuid, override_id uuid
);
comment on type private.import_member is
  'A happening of a cluster (whose override group will be group_id): the meeting of a row, or one of the ledger with the override group it is in so far.';

-- Every cluster of happenings that overlap, directly or through others. Those of the ledger that are in one override
-- group already count as one.
create function private.import_clusters(p_rows private.import_row[], p_overlaps private.import_overlap[])
returns private.import_member[]
language plpgsql volatile set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
declare
  v_one integer[];
  v_other integer[];
  v_sections boolean[];
  v_nodes integer[];
  v_members private.import_member[];
begin
  with relevant as materialized (
    select o.row_number, o.with_row, o.is_one_section, o.source_table, o.source_id
    from unnest(p_overlaps) o
    join unnest(p_rows) r on r.row_number = o.row_number and r.fate = 'new'
    left join unnest(p_rows) w on w.row_number = o.with_row
    where o.with_row is null or w.fate = 'new'
  ), standing as materialized (
    select s.source_table, s.source_id, m.override_id,
      (cardinality(p_rows) + dense_rank() over (order by coalesce(m.override_id::text, s.source_table || s.source_id)))::integer as node
    from (select distinct n.source_table, n.source_id from relevant n where n.with_row is null) s
    left join public.override_members m on m.source_id = s.source_id and m.source_table = s.source_table
  ), edges as materialized (
    select n.row_number as one, coalesce(n.with_row, s.node) as other, n.is_one_section
    from relevant n
    left join standing s on s.source_id = n.source_id and s.source_table = n.source_table
  ), members as materialized (
    select s.node, row(null, null, null, s.source_table, s.source_id, s.override_id)::private.import_member as member
    from standing s
    union all
    select r.row_number, row(null, null, r.row_number, 'meetings', r.meeting_id, null)::private.import_member
    from unnest(p_rows) r
    where r.row_number in (select e.one from edges e union all select e.other from edges e)
  )
  select e.one, e.other, e.sections, m.nodes, m.members into v_one, v_other, v_sections, v_nodes, v_members
  from (
    select array_agg(g.one order by g.one, g.other) as one, array_agg(g.other order by g.one, g.other) as other,
      array_agg(g.is_one_section order by g.one, g.other) as sections
    from edges g
  ) e
  cross join (
    select array_agg(g.node order by g.node) as nodes, array_agg(g.member order by g.node) as members from members g
  ) m;
  return array(
    with connected as materialized (
      select c.node, c.root from private.connected(v_one, v_other) c
    ), clusters as materialized (
      select c.root, bool_and(e.is_one_section) as is_one_section
      from unnest(v_one, v_sections) as e(node, is_one_section)
      join connected c on c.node = e.node
      group by c.root
    ), groups as materialized (
      -- Another row of a section joins the group its section has: nothing else is allowed by that than was before.
      select l.root, l.is_one_section,
        case when l.is_one_section and count(distinct o.id) = 1 and bool_and(o.expires_at is null and o.revoked_at is null)
          then (array_agg(o.id) filter (where o.id is not null))[1] else gen_random_uuid() end as group_id
      from clusters l
      join connected c on c.root = l.root
      join rows from (unnest(v_nodes), unnest(v_members))
        as m(node, group_id, is_one_section, row_number, source_table, source_id, override_id) on m.node = c.node
      left join public.overrides o on o.id = m.override_id
      group by l.root, l.is_one_section
    )
    select row(l.group_id, l.is_one_section, m.row_number, m.source_table, m.source_id, m.override_id)::private.import_member
    from connected c
    join groups l on l.root = c.root
    join rows from (unnest(v_nodes), unnest(v_members))
      as m(node, group_id, is_one_section, row_number, source_table, source_id, override_id) on m.node = c.node
  );
end;
$$;
comment on function private.import_clusters(private.import_row[], private.import_overlap[]) is
  'The happenings that overlap new rows, and those rows, by cluster.';

-- Each cluster becomes one group. A group that stands and is touched moves into it whole, because a happening is in
-- one group only; the override it leaves stays, empty, as the record of who allowed it.
create function private.group_import(p_members private.import_member[], p_label text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  if exists (select from unnest(p_members) m where m.override_id <> m.group_id) then
    perform private.require_permission('grant:override');
  end if;
  insert into public.overrides (id, reason, granted_by)
  select m.group_id,
    private.clean_text(left(
      p_label || case when m.is_one_section then ': rows of one crn at once' else '' end
      || coalesce('; before that: ' || string_agg(distinct o.reason, '; '), ''), 1000)),
    private.caller_id()
  from unnest(p_members) m
  left join public.overrides o on o.id = m.override_id
  group by m.group_id, m.is_one_section
  having bool_and(m.override_id is distinct from m.group_id);
  update public.override_members s
  set override_id = m.group_id
  from (select distinct u.override_id, u.group_id from unnest(p_members) u where u.override_id <> u.group_id) m
  where s.override_id = m.override_id;
  -- Before the meetings themselves are there, so that their claims carry the group's key from the start.
  insert into public.override_members (override_id, source_table, source_id)
  select m.group_id, m.source_table, m.source_id
  from unnest(p_members) m
  where m.override_id is null
  order by m.source_id, m.source_table;
end;
$$;
comment on function private.group_import(private.import_member[], text) is
  'Makes the override groups of an import''s clusters, before the meetings that will be in them.';

create function private.write_import(p_rows private.import_row[], p_time_zone text) returns void
language sql volatile set search_path = ''
begin atomic
  insert into public.meetings (
    id, title, date, start_time, end_time, time_zone, starts_at, ends_at, course, section, external_ref, capacity, enrolled,
    created_by, created_at, updated_at
  )
  select r.meeting_id, r.title, r.date, r.start_time, r.end_time, p_time_zone, r.starts_at, r.ends_at, r.course, r.section,
    r.external_ref, r.capacity, r.enrolled, w.caller, w.now, w.now
  from unnest(p_rows) r
  cross join (select private.caller_id() as caller, private.now() as now) w
  where r.fate = 'new';
  insert into public.meeting_participants (meeting_id, resource_id)
  select r.meeting_id, u.id
  from unnest(p_rows) r
  cross join lateral (values (r.person_id), (r.place_id)) as u(id)
  where r.fate = 'new' and u.id is not null;
end;
comment on function private.write_import(private.import_row[], text) is
  'Writes the new rows as meetings with their participants; their claims follow, or time_conflict says who was faster.';

create function private.leave_out(p_rows private.import_row[], p_left_out integer[]) returns private.import_row[]
language plpgsql immutable set search_path = ''
as $$
declare
  v_rows private.import_row[] := p_rows;
  v_row_number integer;
begin
  foreach v_row_number in array p_left_out loop
    v_rows[v_row_number].fate := 'left_out';
  end loop;
  return v_rows;
end;
$$;
comment on function private.leave_out(private.import_row[], integer[]) is 'The rows, with these left out.';
