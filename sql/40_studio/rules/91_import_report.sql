-- Importing bookings, schedules and classes, second part: what comes before the rows are looked at, and what is said after.

create function private.check_import(p_rows jsonb, p_columns jsonb, p_on_conflict text, p_dry_run boolean) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_limit constant integer := private.setting_integer('import_rows_limit');
  v_count constant integer := case when jsonb_typeof(p_rows) = 'array' then jsonb_array_length(p_rows) end;
  v_columns constant text[] := array(select c.name from jsonb_object_keys(p_columns) as c(name)) || 'line'::text;
  v_stray record;
begin
  if v_count > v_limit then
    perform private.fail('limit_exceeded', format('One import may bring %s rows, not %s', v_limit, v_count), 'p_rows',
      jsonb_build_object('limit', v_limit, 'rows', v_count), 'Import it in parts, or raise the setting import_rows_limit.');
  end if;
  perform private.fail_input(
    private.input_error(v_count is null, 'p_rows', 'Rows are a list of objects')
    || private.input_error(v_count = 0, 'p_rows', 'There are no rows')
    || private.input_error(coalesce(p_on_conflict, '') not in ('refuse', 'skip'), 'p_on_conflict', 'It is refuse or skip')
    || private.input_error(p_dry_run is null, 'p_dry_run', 'It is true or false')
  );
  select r.position, r.item into v_stray
  from jsonb_array_elements(p_rows) with ordinality as r(item, position)
  where case when jsonb_typeof(r.item) = 'object' then r.item - v_columns <> '{}' else true end
  limit 1;
  if found then
    perform private.fail('invalid_input', format('Row %s is not an object of %s', v_stray.position, array_to_string(v_columns, ', ')), 'p_rows',
      jsonb_build_object('row', v_stray.position, 'columns', to_jsonb(v_columns)));
  end if;
end;
$$;
comment on function private.check_import(jsonb, jsonb, text, boolean) is 'Refuses what is no list of rows with these columns, or too long.';

-- Of rows in each other's way the earlier one stays. Only rows that clash are gone through, one after another, because
-- each decides about those after it.
create function private.rows_to_leave_out(p_rows integer[], p_with_rows integer[]) returns integer[]
language plpgsql immutable set search_path = ''
as $$
declare
  v_out integer[] := array(select distinct u.n from unnest(p_rows, p_with_rows) as u(n, with_n) where u.with_n is null);
  v_pair record;
begin
  for v_pair in
    select u.n, array_agg(u.with_n) as earlier
    from unnest(p_rows, p_with_rows) as u(n, with_n)
    where u.with_n < u.n
    group by u.n
    order by u.n
  loop
    if v_pair.n <> all(v_out) and not v_pair.earlier <@ v_out then
      v_out := v_out || v_pair.n;
    end if;
  end loop;
  return v_out;
end;
$$;
comment on function private.rows_to_leave_out(integer[], integer[]) is
  'Of rows that clash (with another row, or, where that is null, with what is there) those that give way.';

-- p_clashes are objects with the row each is about, and what it clashes with.
create function private.import_items_report(
  p_request jsonb, p_items private.import_item[], p_faults private.import_fault[], p_clashes jsonb
) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan
as $$
declare
  v_faults integer := coalesce(cardinality(p_faults), 0);
  v_refused boolean := v_faults > 0 or p_request ->> 'on_conflict' = 'refuse' and p_clashes <> '[]';
  v_limit integer := case when (p_request ->> 'dry_run')::boolean then 10000 else 1000 end;
begin
  return p_request || jsonb_build_object(
    'rows', cardinality(p_items),
    'imported', case when v_refused then 0 else (select count(*) from unnest(p_items) i where i.fate = 'new') end,
    'present', (select count(*) from unnest(p_items) i where i.fate = 'present'),
    'left_out', coalesce((
      select jsonb_agg(f.clash order by f.row_number)
      from (
        select distinct on (i.row_number) i.row_number, c.clash
        from unnest(p_items) i
        join jsonb_array_elements(p_clashes) with ordinality as c(clash, n) on (c.clash ->> 'row')::integer = i.row_number
        where i.fate = 'left_out'
        order by i.row_number, c.clash ->> 'with_line' is not null, c.n
      ) f
    ), '[]'),
    'clashes', coalesce((
      select jsonb_agg(c.clash order by c.n) from jsonb_array_elements(p_clashes) with ordinality as c(clash, n) where c.n <= v_limit
    ), '[]'),
    'clashes_total', jsonb_array_length(p_clashes),
    'refused', v_refused,
    'errors', private.describe_import_faults(p_faults, v_limit),
    'errors_total', v_faults);
end;
$$;
comment on function private.import_items_report(jsonb, private.import_item[], private.import_fault[], jsonb) is
  'The report of an import, or of what one would do.';

create function private.refuse_items(p_report jsonb) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_first jsonb := p_report -> 'errors' -> 0;
  v_more integer := (p_report ->> 'errors_total')::integer - 1;
begin
  if v_first is not null then
    perform private.fail('invalid_input',
      format('Nothing was imported. Line %s, %s: %s%s', v_first ->> 'line', v_first ->> 'column', v_first ->> 'reason',
        case when v_more > 0 then format(' (and %s more)', v_more) else '' end),
      v_first ->> 'column',
      jsonb_build_object(
        'errors', (
          select jsonb_agg(e || jsonb_build_object('field', e ->> 'column',
            'message', format('Line %s, %s: %s', e ->> 'line', e ->> 'column', e ->> 'reason')))
          from jsonb_array_elements(p_report -> 'errors') e
        ),
        'count', v_more + 1, 'report', p_report),
      'Mend the file and import it again.');
  end if;
  v_first := p_report -> 'clashes' -> 0;
  v_more := (p_report ->> 'clashes_total')::integer - 1;
  perform private.fail('time_conflict',
    format('Nothing was imported. Line %s: %s%s', v_first ->> 'line', v_first ->> 'message',
      case when v_more > 0 then format(' (and %s more)', v_more) else '' end),
    p_details => jsonb_build_object('conflicts', p_report -> 'clashes', 'count', v_more + 1, 'report', p_report),
    p_hint => 'Mend the file, or import what fits (p_on_conflict skip).');
end;
$$;
comment on function private.refuse_items(jsonb) is 'Raises what stands in an import''s way, bad rows first; details carry the report.';

create function private.start_import(p_kind text, p_request jsonb) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.require_read_committed();
  -- One import of a kind at a time, so that two that bring the same rows do not bring them twice. Taken before anything
  -- else is locked.
  if not (p_request ->> 'dry_run')::boolean then
    perform pg_advisory_xact_lock(hashtextextended('import_' || p_kind, 0));
  end if;
end;
$$;
comment on function private.start_import(text, jsonb) is 'Makes other imports of the same kind wait, unless this is a dry run.';
