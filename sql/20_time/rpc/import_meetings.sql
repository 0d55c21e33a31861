-- A hosted project gives its roles seconds, and a whole term takes longer: PostgREST reads the limit from here.
create function public.import_meetings(
  p_rows jsonb,
  p_time_zone text default null,
  p_on_conflict text default 'refuse',
  p_dry_run boolean default false,
  p_label text default null,
  p_idempotency_key text default null
) returns jsonb
language plpgsql volatile set search_path = '' set statement_timeout = '2min'
as $$
declare
  v_zone text := coalesce(p_time_zone, private.setting_text('organisation_time_zone'));
  v_columns constant text[] := array['line', 'crn', 'course', 'section', 'title', 'instructor', 'location', 'date', 'start_time',
    'end_time', 'capacity', 'enrolled'];
  v_limit integer := private.setting_integer('import_rows_limit');
  v_count integer := case when jsonb_typeof(p_rows) = 'array' then jsonb_array_length(p_rows) end;
  v_stray record;
  v_request jsonb;
  v_answer jsonb;
begin
  perform private.require_permission('bulk:calendar');
  if v_count > v_limit then
    perform private.fail('limit_exceeded', format('One import may bring %s rows, not %s', v_limit, v_count), 'p_rows',
      jsonb_build_object('limit', v_limit, 'rows', v_count), 'Import it in parts, or raise the setting import_rows_limit.');
  end if;
  perform private.fail_input(
    private.input_error(v_count is null, 'p_rows', 'Rows are a list of objects')
    || private.input_error(v_count = 0, 'p_rows', 'There are no rows')
    || private.input_error(not private.is_time_zone(v_zone), 'p_time_zone', 'A time zone is an IANA name, such as America/New_York')
    || private.input_error(coalesce(p_on_conflict, '') not in ('refuse', 'skip', 'override'), 'p_on_conflict', 'It is refuse, skip or override')
    || private.input_error(p_dry_run is null, 'p_dry_run', 'It is true or false')
    || private.input_error(length(p_label) > 200, 'p_label', 'A label has at most 200 characters')
  );
  select r.position, r.item into v_stray
  from jsonb_array_elements(p_rows) with ordinality as r(item, position)
  where case when jsonb_typeof(r.item) = 'object' then r.item - v_columns <> '{}' else true end
  limit 1;
  if found then
    perform private.fail('invalid_input',
      format('Row %s is not an object of %s', v_stray.position, array_to_string(v_columns, ', ')), 'p_rows',
      jsonb_build_object('row', v_stray.position, 'columns', to_jsonb(v_columns)));
  end if;
  v_request := jsonb_build_object('time_zone', v_zone, 'on_conflict', p_on_conflict, 'dry_run', p_dry_run,
    'label', coalesce(private.clean_name(p_label), format('Import of %s meetings', v_count)));
  if p_dry_run then
    return private.import_rows(p_rows, v_request);
  end if;
  v_answer := private.answered_before('import_meetings', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows));
  if v_answer is null then
    v_answer := private.import_rows(p_rows, v_request);
    perform private.remember_answer('import_meetings', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows), v_answer);
  end if;
  return v_answer;
end;
$$;
comment on function public.import_meetings(jsonb, text, text, boolean, text, text) is
  'Imports a timetable in one transaction: p_rows is [{"crn", "course", "section", "title", "instructor", "location", "date", "start_time", "end_time", "capacity", "enrolled", "line"}, …], all text, dates like 2018-09-04, times like 09:30 in p_time_zone (the organisation''s by default); instructor and location are names, empty or BY ARR for none, and become people without login and places where there are none of that name. What overlaps a row of another crn, or the ledger, is refused as a whole (p_on_conflict refuse), left out in the order of the rows (skip), or imported as override groups with p_label as their reason (override, needs grant:override); rows of one crn may overlap. Rows that say what an earlier import said are left unchanged. p_dry_run changes nothing. Needs bulk:calendar. Returns the report: rows, resources, overlaps, imported, unchanged, left_out, errors and more. Raises invalid_input naming every bad field of every row, limit_exceeded, time_conflict; details carry the report.';
