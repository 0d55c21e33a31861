create function private.candidates(p_assignment_id uuid) returns table (
  instructor_id uuid, instructor_name text, times_taught integer, minutes_that_month integer, is_within_hours boolean, rate numeric
)
language plpgsql stable security definer set search_path = ''
as $$
#variable_conflict use_column
declare
  v_class public.class_assignments;
begin
  if not private.has_permission('update:assignment') then
    perform private.require_permission('create:assignment');
  end if;
  select a.* into v_class from public.class_assignments a where a.id = p_assignment_id;
  if not found then
    perform private.fail('not_found', 'There is no such class', 'p_assignment_id', jsonb_build_object('id', p_assignment_id));
  end if;
  return query
    with teachers as (
      -- Who teaches: holds the role, or has taught.
      select r.id, r.name
      from public.resources r
      join public.user_profiles p on p.id = r.profile_id and p.is_active
      where r.is_active and r.id <> v_class.instructor_id
        and (
          exists (select from public.user_roles u where u.user_id = p.user_id and u.role_name = 'instructor')
          or exists (select from public.class_assignments a where a.instructor_id = r.id)
        )
    ), free as (
      select t.id, t.name
      from teachers t
      where v_class.starts_at is null or not exists (
        select from public.claims c
        where c.resource_id = t.id and c.during && tstzrange(v_class.starts_at, v_class.ends_at)
      ) and not exists (
        select from public.time_off o
        where o.resource_id = t.id and o.status = 'approved' and o.during && tstzrange(v_class.starts_at, v_class.ends_at)
      )
    )
    select f.id, f.name, w.times_taught, w.minutes_that_month,
      case when v_class.starts_at is not null then (
        select h.hours @> tstzrange(v_class.starts_at, v_class.ends_at)
        from private.hours_of(array[f.id], tstzrange(v_class.starts_at - interval '1 day', v_class.ends_at + interval '1 day')) h
      ) end,
      (private.rate_for(f.id, v_class.class_type_id, v_class.payment_type, v_class.date)).rate
    from free f
    cross join lateral (
      select
        (count(*) filter (where a.class_type_id = v_class.class_type_id and a.class_status = 'completed'))::integer as times_taught,
        coalesce(sum(extract(epoch from a.ends_at - a.starts_at) / 60) filter (
          where date_trunc('month', a.date::timestamp) = date_trunc('month', v_class.date::timestamp) and a.class_status <> 'cancelled' and a.instructor_status <> 'rejected'
        ), 0)::integer as minutes_that_month
      from public.class_assignments a
      where a.instructor_id = f.id
    ) w
    order by w.times_taught > 0 desc, w.minutes_that_month, w.times_taught desc, f.name, f.id;
end;
$$;
comment on function private.candidates(uuid) is 'The instructors public.suggest_instructors suggests.';

create function public.suggest_instructors(p_assignment_id uuid) returns table (
  instructor_id uuid, instructor_name text, times_taught integer, minutes_that_month integer, is_within_hours boolean, rate numeric
)
language sql stable set search_path = ''
begin atomic
  select c.instructor_id, c.instructor_name, c.times_taught, c.minutes_that_month, c.is_within_hours, c.rate
  from private.candidates(p_assignment_id) c;
end;
comment on function public.suggest_instructors(uuid) is
  'Who could teach a class instead: every other active instructor who is free then and not on time off. First those who have taught this class type (times_taught: how often), of them first who teaches least that month (minutes_that_month). is_within_hours says whether it lies in the hours they stated, null when they stated none; rate what they are paid by the class''s payment type, null where none is agreed. Needs update:assignment or create:assignment. Raises not_found.';
