-- The rows are read once and summed up by everything at once; what is asked for are sums over those few sums. A set of
-- one document, because Postgres reads in parallel only for RETURN QUERY; with room for hashing, because it takes each
-- day for a group of its own and would sort the rows; and planned for the days asked for, since a plan for any days is
-- one for few rows.
create function private.assignment_analytics_for_caller(p_from date, p_to date, p_instructor_ids uuid[], p_types text[]) returns setof jsonb
language plpgsql stable security definer set search_path = '' set work_mem = '32MB' set plan_cache_mode = force_custom_plan
as $$
declare
  v_ids constant uuid[] := private.numbers_of(p_instructor_ids);
  v_types constant text[] := array_replace(p_types, 'crash_course', 'crash');
  v_today constant date := private.today();
  v_months date[];
begin
  perform private.fail_input(
    private.days_errors(p_from, p_to, 'date_start', 'date_end')
    || private.input_error(not v_types <@ array['adhoc', 'weekly', 'monthly', 'crash', 'package'], 'assignment_types',
      'A type is adhoc, weekly, monthly, crash or package'));
  -- Looking a date up among these is cheaper than truncating each.
  v_months := array(select m::date from generate_series(date_trunc('month', p_from::timestamp), p_to::timestamp, interval '1 month') as m order by m);
  return query
    with cells as (
      select c.instructor_id, c.schedule_type, width_bucket(c.date, v_months) as month, count(*) as classes,
        sum(c.payment_amount) filter (where c.class_status <> 'cancelled') as revenue,
        count(*) filter (where c.class_status = 'completed') as completed,
        count(*) filter (where c.class_status = 'completed' or c.class_status = 'scheduled' and c.date <= v_today) as come
      from private.paid_classes c
      where c.date between p_from and p_to and (v_ids is null or c.instructor_id = any(v_ids))
        and (v_types is null or c.schedule_type = any(v_types))
      group by 1, 2, 3
    ),
    sums as (
      select grouping(c.schedule_type, c.instructor_id, c.month) as kind, c.schedule_type, c.instructor_id, c.month,
        coalesce(sum(c.classes), 0) as classes, coalesce(sum(c.revenue), 0.00) as revenue,
        round(sum(c.completed) / nullif(sum(c.come), 0), 4) as completion_rate
      from cells c
      group by grouping sets ((), (c.schedule_type), (c.instructor_id), (c.month))
    )
    select jsonb_build_object(
      'total_revenue', (array_agg(s.revenue) filter (where s.kind = 7))[1],
      'total_assignments', (array_agg(s.classes) filter (where s.kind = 7))[1],
      'assignment_distribution', coalesce(jsonb_agg(
        jsonb_build_object('type', s.schedule_type, 'count', s.classes, 'revenue', s.revenue) order by s.classes desc, s.schedule_type
      ) filter (where s.kind = 3), '[]'),
      'instructor_stats', coalesce(jsonb_agg(
        jsonb_build_object('instructor_id', s.instructor_id, 'instructor_name', p.full_name, 'assignment_count', s.classes,
          'total_revenue', s.revenue, 'completion_rate', s.completion_rate) order by s.revenue desc, p.full_name, s.instructor_id
      ) filter (where s.kind = 5), '[]'),
      'monthly_trends', coalesce(jsonb_agg(
        jsonb_build_object('month', to_char(v_months[s.month]::timestamp, 'YYYY-MM'), 'revenue', s.revenue, 'assignment_count', s.classes) order by s.month
      ) filter (where s.kind = 6), '[]'))
    from sums s
    left join public.user_profiles p on p.id = s.instructor_id;
end;
$$;
comment on function private.assignment_analytics_for_caller(date, date, uuid[], text[]) is
  'What public.assignment_analytics does, with the rights to do it.';

create function public.assignment_analytics(
  date_start date,
  date_end date,
  instructor_ids uuid[] default null,
  assignment_types text[] default null
) returns jsonb
language sql stable set search_path = ''
return (select a.document from private.assignment_analytics_for_caller(date_start, date_end, instructor_ids, assignment_types) as a(document));
comment on function public.assignment_analytics(date, date, uuid[], text[]) is
  'The numbers of the classes from date_start to date_end (both included; archived classes too), of these instructors and schedule types (null: all): {total_revenue, total_assignments, assignment_distribution: [{type, count, revenue}], instructor_stats: [{instructor_id, instructor_name, assignment_count, total_revenue, completion_rate}], monthly_trends: [{month: "2026-01", revenue, assignment_count}]}. Revenue is what classes are paid; cancelled ones are counted but have none. completion_rate is completed divided by those not cancelled whose date has come, from 0 to 1, null where none has. With read:analytics everybody''s; with read:own_analytics one''s own, others asked for are left out. Raises forbidden without either, invalid_input.';
