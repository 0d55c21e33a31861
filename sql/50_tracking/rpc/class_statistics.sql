create function private.share(p_count bigint, p_of bigint) returns numeric
language sql immutable set search_path = ''
return case when p_of > 0 then round(100.0 * p_count / p_of, 1) else 0 end;
comment on function private.share(bigint, bigint) is 'A percentage with one decimal; 0 of nothing is 0.';

create function private.class_figures(p_from date, p_to date) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_midnight constant timestamptz := private.day_start(private.today(), private.setting_text('organisation_time_zone'));
  v_monday constant timestamptz := private.day_start(
    private.today() - extract(isodow from private.today())::integer + 1, private.setting_text('organisation_time_zone'));
  v_answer jsonb;
begin
  if not private.has_permission('generate:classes') then
    perform private.require_permission('read:diagnostics');
  end if;
  perform private.fail_input(
    private.input_error(p_to < p_from, 'p_to', 'The last day must not be before the first')
    || private.input_error(p_to - p_from > 3660, 'p_to', 'Ask for at most ten years'));
  with counted as materialized (
    select c.student_id, c.status, c.payment_status, count(*) as count
    from public.classes c
    where c.date between p_from and p_to
    group by c.student_id, c.status, c.payment_status
  ), total as (
    select coalesce(sum(c.count), 0)::bigint as count from counted c
  )
  select jsonb_build_object(
    'from', p_from, 'to', p_to, 'classes', t.count,
    'by_status', (
      select coalesce(jsonb_object_agg(s.status, jsonb_build_object('count', s.count, 'percent', private.share(s.count, t.count))), '{}')
      from (select c.status, sum(c.count)::bigint as count from counted c group by c.status) s
    ),
    'by_payment_status', (
      select coalesce(jsonb_object_agg(s.payment_status, jsonb_build_object('count', s.count, 'percent', private.share(s.count, t.count))), '{}')
      from (select c.payment_status, sum(c.count)::bigint as count from counted c group by c.payment_status) s
    ),
    'by_student', (
      select coalesce(jsonb_agg(jsonb_build_object('student_id', s.student_id, 'name', s.name, 'classes', s.count, 'completed', s.completed,
        'missed', s.missed, 'cancelled', s.cancelled) order by s.count desc, s.name), '[]')
      from (
        select c.student_id, concat_ws(' ', u.first_name, u.last_name) as name, sum(c.count)::bigint as count,
          coalesce(sum(c.count) filter (where c.status = 'completed'), 0) as completed,
          coalesce(sum(c.count) filter (where c.status = 'missed'), 0) as missed,
          coalesce(sum(c.count) filter (where c.status = 'cancelled'), 0) as cancelled
        from counted c
        join public.students u on u.id = c.student_id
        group by c.student_id, u.first_name, u.last_name
        order by 3 desc, 2
        limit 1000
      ) s
    ),
    'created', (
      select to_jsonb(k)
      from (
        select count(*) filter (where c.created_at >= v_midnight) as today, count(*) filter (where c.created_at >= v_monday) as this_week,
          count(*) as in_all
        from public.classes c
      ) k
    ),
    'students', (
      select jsonb_build_object('in_all', count(*), 'active', count(*) filter (where s.is_active),
        'new', count(*) filter (where (s.created_at at time zone private.setting_text('organisation_time_zone'))::date between p_from and p_to))
      from public.students s
    ),
    'generation', (
      select jsonb_build_object(
        'runs', count(*) filter (where g.student_id is null or g.operation in ('insert', 'update')),
        'students_processed', count(distinct g.student_id),
        'classes_created', coalesce(sum(g.classes_created) filter (where g.student_id is not null), 0),
        'failures', count(*) filter (where g.status = 'failed' and g.student_id is not null),
        'partial', count(*) filter (where g.status = 'partial' and g.student_id is not null),
        'average_duration_ms', round(avg(g.duration_ms), 1),
        'last_run_at', max(g.trigger_time) filter (where g.operation = 'scheduled' and g.student_id is null))
      from public.class_generation_logs g
      where g.trigger_time >= private.day_start(p_from, private.setting_text('organisation_time_zone'))
        and g.trigger_time < private.day_start(p_to + 1, private.setting_text('organisation_time_zone'))
    ),
    'growth', (
      select coalesce(jsonb_agg(jsonb_build_object('month', m.month, 'classes', m.count) order by m.month), '[]')
      from (
        select to_char(c.date, 'YYYY-MM') as month, count(*) as count
        from public.classes c
        where c.date between p_from and p_to
        group by 1
      ) m
    )
  )
  into v_answer
  from total t;
  return v_answer;
end;
$$;
comment on function private.class_figures(date, date) is 'Figures of classes and their generation, for holders of generate:classes or read:diagnostics.';

create function public.class_statistics(p_from date default null, p_to date default null) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  return private.class_figures(coalesce(p_from, private.today() - 27), coalesce(p_to, private.today()));
end;
$$;
comment on function public.class_statistics(date, date) is
  'Figures of the classes of p_from (four weeks ago) to p_to (today), as a document: classes; by_status and by_payment_status, each {"count", "percent"}; by_student (the thousand with most); created (today, this_week, in_all); students (in_all, active, new); generation (runs, students_processed, classes_created, failures, partial, average_duration_ms, last_run_at); growth, a row a month. For holders of generate:classes or read:diagnostics. Raises invalid_input.';
