-- Importing meetings: the parts put together.

create function private.refuse_import(
  p_report jsonb, p_faults private.import_fault[]
) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_first jsonb := p_report -> 'errors' -> 0;
  v_count integer := coalesce(cardinality(p_faults), 0);
begin
  if v_count > 0 then
    -- What cannot be read comes before what is too far ahead.
    perform private.fail(
      case when exists (select from unnest(p_faults) f where f.code = 'invalid_input') then 'invalid_input' else 'limit_exceeded' end,
      format('Nothing was imported. Line %s, %s: %s%s', v_first ->> 'line', v_first ->> 'column', v_first ->> 'reason',
        case when v_count > 1 then format(' (and %s more)', v_count - 1) else '' end),
      v_first ->> 'column',
      jsonb_build_object(
        'errors', (
          select jsonb_agg(e || jsonb_build_object('field', e ->> 'column',
            'message', format('Line %s, %s: %s', e ->> 'line', e ->> 'column', e ->> 'reason')))
          from jsonb_array_elements(p_report -> 'errors') e
        ),
        'count', v_count, 'report', p_report),
      case when v_first ->> 'code' = 'limit_exceeded'
        then 'Holders of book:beyond_horizon may call extend_horizon(); for new names the setting ledger_horizon_days counts.'
        else 'Mend the file and import it again.' end);
  end if;
  v_first := p_report -> 'overlapping' -> 0;
  perform private.fail('time_conflict',
    format('Nothing was imported. Line %s (%s) needs %s on %s from %s to %s, %s%s',
      v_first ->> 'line', v_first ->> 'title', v_first ->> 'resource', v_first ->> 'date', v_first ->> 'start_time', v_first ->> 'end_time',
      case when v_first -> 'with' ? 'line' then format('like line %s (%s)', v_first -> 'with' ->> 'line', v_first -> 'with' ->> 'title')
        else 'taken by ' || coalesce(v_first -> 'with' ->> 'title', 'something else') end,
      case when (p_report ->> 'overlapping_total')::integer > 1
        then format(' (and %s more)', (p_report ->> 'overlapping_total')::integer - 1) else '' end),
    p_details => jsonb_build_object('conflicts', p_report -> 'overlapping', 'count', p_report -> 'overlapping_total', 'report', p_report),
    p_hint => 'Import what fits (p_on_conflict skip), or let them overlap (override).');
end;
$$;
comment on function private.refuse_import(jsonb, private.import_fault[]) is
  'Raises what stands in an import''s way: bad rows, rows beyond the horizon, or else overlaps; details carry the report.';

create function private.import_rows(p_rows jsonb, p_request jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set work_mem = '64MB' set jit = off
as $$
declare
  v_zone constant text := p_request ->> 'time_zone';
  v_mode constant text := p_request ->> 'on_conflict';
  v_is_dry constant boolean := (p_request ->> 'dry_run')::boolean;
  v_rows private.import_row[];
  v_faults private.import_fault[];
  v_names private.import_name[];
  v_overlaps private.import_overlap[];
  v_ledger private.import_overlap[];
  v_clashes private.import_overlap[];
  v_reasons private.import_overlap[] := '{}';
  v_members private.import_member[] := '{}';
  v_is_refused boolean;
  v_report jsonb;
begin
  perform private.require_permission('bulk:calendar');
  if v_mode = 'override' then
    perform private.require_permission('grant:override');
  end if;
  perform private.require_read_committed();

  select r.p_read, coalesce(r.p_faults, '{}') into v_rows, v_faults from private.read_import_rows(p_rows, v_zone) r;
  if not v_is_dry then
    -- One import at a time, so that two that bring the same rows, or somebody new of the same name, do not bring them
    -- twice. Taken before anything else is locked.
    perform pg_advisory_xact_lock(hashtextextended('import_meetings', 0));
  end if;
  v_names := private.find_import_names(v_rows);
  v_faults := v_faults || private.faults_of_names(v_rows, v_names);
  v_rows := private.settle_import_rows(v_rows, v_names);
  v_overlaps := private.overlaps_in_import(v_rows);

  if not v_is_dry and cardinality(v_faults) = 0 then
    perform private.make_import_resources(array(select n from unnest(v_names) n where n.is_new));
    if v_mode = 'override' or exists (select from unnest(v_rows) r where r.fate = 'unchanged') then
      perform private.lock_import_sources(array(
        select o from unnest(private.overlaps_with_ledger(v_rows, v_names, v_zone)) o where v_mode = 'override' or o.is_one_section
      ));
    end if;
    perform private.lock_resources(array(select n.resource_id from unnest(v_names) n));
  end if;
  -- From here on, statements see what was there when the locks were had.
  v_ledger := private.overlaps_with_ledger(v_rows, v_names, v_zone);
  v_faults := v_faults || private.faults_beyond_horizon(v_rows, v_names);

  v_clashes := private.clashes_of_import(v_rows, v_overlaps || v_ledger);
  v_is_refused := cardinality(v_faults) > 0 or (v_mode = 'refuse' and cardinality(v_clashes) > 0);
  if v_mode = 'skip' then
    v_reasons := private.clashes_that_decide(v_clashes);
    v_rows := private.leave_out(v_rows, array(select o.row_number from unnest(v_reasons) o));
  end if;
  if not v_is_refused then
    v_members := private.import_clusters(v_rows, v_overlaps || v_ledger);
    if not v_is_dry then
      perform private.group_import(v_members, p_request ->> 'label');
      perform private.write_import(v_rows, v_zone);
    end if;
  end if;
  v_report := private.import_report(p_request, v_rows, v_names, v_overlaps, v_ledger, v_reasons, v_faults, v_members,
    v_is_refused, case when v_is_dry then 10000 else 100 end);
  if v_is_refused and not v_is_dry then
    perform private.refuse_import(v_report, v_faults);
  end if;
  return v_report;
end;
$$;
comment on function private.import_rows(jsonb, jsonb) is
  'Imports a timetable, or says what importing it would do, for a holder of bulk:calendar (and grant:override for overriding).';
