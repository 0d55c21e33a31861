create function private.check_classes_duplicated() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'classes', d.id::text,
    format('%s has the class of %s %s twice', concat_ws(' ', s.first_name, s.last_name), d.date, left(d.start_time::text, 5)),
    jsonb_build_object('student_id', d.student_id, 'date', d.date, 'start_time', d.start_time, 'kept_id', d.kept_id)
  from private.duplicated_classes() d
  join public.students s on s.id = d.student_id;
end;
comment on function private.check_classes_duplicated() is 'Finds classes that are there twice; the oldest is not among them.';

-- Attendance, payments and links move to the oldest; where it has its own, that stays. About those that two others stand
-- for, or where somebody attended what was called off or moved away, a person decides.
create function private.fix_classes_duplicated(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_kept_ids uuid[];
  v_linked_ids uuid[];
  v_links uuid[];
  v_attendance public.class_attendance[];
begin
  -- In the order of whoever records refunds.
  perform from public.payments p
  where p.id in (select i.payment_id from public.payment_items i where i.source_table = 'classes' and i.source_id = any(p_entity_ids::uuid[]))
  order by p.id
  for no key update;
  perform from public.classes c
  where c.id in (select d.id from private.duplicated_classes() d union select d.kept_id from private.duplicated_classes() d)
  order by c.id
  for update;
  with doubled as materialized (
    select d.id, d.kept_id from private.duplicated_classes() d
  ), replaced as materialized (
    select g.kept_id, count(*) as times
    from (select d.id, d.kept_id from doubled d union select d.kept_id, d.kept_id from doubled d) g
    join public.classes r on r.rescheduled_from = g.id and r.status <> 'cancelled'
    group by g.kept_id
  )
  select array_agg(d.id order by d.id), array_agg(d.kept_id order by d.id) into v_ids, v_kept_ids
  from doubled d
  join public.classes k on k.id = d.kept_id
  left join replaced r on r.kept_id = d.kept_id
  where d.id = any(p_entity_ids::uuid[]) and coalesce(r.times, 0) <= 1
    and (
      k.starts_at <= private.now() and (k.status in ('scheduled', 'completed', 'missed') or k.status = 'cancelled' and r.times is null)
      or not exists (select from public.class_attendance a where a.class_id = d.id)
    );
  if v_ids is not null then
    insert into private.payment_moves (source_table, from_id, to_id)
    select distinct 'classes', i.source_id, d.kept_id
    from public.payment_items i
    join unnest(v_ids, v_kept_ids) as d(id, kept_id) on d.id = i.source_id
    where i.source_table = 'classes'
    order by i.source_id;
    v_attendance := array(
      select row(d.kept_id, x.status, x.minutes_late, x.note, x.version, x.recorded_by, x.recorded_at, x.updated_at)::public.class_attendance
      from (
        select distinct on (d.kept_id) d.kept_id, d.id
        from unnest(v_ids, v_kept_ids) as d(id, kept_id)
        join public.class_attendance x on x.class_id = d.id
        where not exists (select from public.class_attendance o where o.class_id = d.kept_id)
        order by d.kept_id, x.recorded_at, x.class_id
      ) d
      join public.class_attendance x on x.class_id = d.id
    );
    delete from public.class_attendance a where a.class_id = any(v_ids);
    update public.classes c set rescheduled_from = nullif(d.kept_id, c.id)
    from unnest(v_ids, v_kept_ids) as d(id, kept_id)
    where c.rescheduled_from = d.id and c.id <> all(v_ids);
    select array_agg(l.kept_id), array_agg(l.rescheduled_from) into v_linked_ids, v_links
    from (
      select distinct on (d.kept_id) d.kept_id, c.rescheduled_from
      from unnest(v_ids, v_kept_ids) as d(id, kept_id)
      join public.classes c on c.id = d.id
      where c.rescheduled_from is not null and c.rescheduled_from <> d.kept_id and c.rescheduled_from <> all(v_ids)
      order by d.kept_id, c.created_at, c.id
    ) l;
    update public.classes c set rescheduled_from = null where c.id = any(v_ids) and c.rescheduled_from is not null;
    delete from public.classes c where c.id = any(v_ids);
    -- Only now does nothing of theirs stand in the way of the one that stays.
    update public.classes c set rescheduled_from = l.rescheduled_from
    from unnest(v_linked_ids, v_links) as l(kept_id, rescheduled_from)
    where c.id = l.kept_id and c.rescheduled_from is null;
    -- Who was there was not called off.
    update public.classes c set status = 'scheduled'
    where c.status = 'cancelled' and c.id in (select a.class_id from unnest(v_attendance) a);
    insert into public.class_attendance select * from unnest(v_attendance);
    -- What became of the duplicates became of the class.
    perform private.settle_classes(v_kept_ids);
    update public.classes c set status = case when a.status in ('present', 'late') then 'completed' else 'missed' end
    from public.class_attendance a
    where a.class_id = c.id and c.id = any(v_kept_ids) and c.status in ('scheduled', 'completed', 'missed')
      and c.status <> case when a.status in ('present', 'late') then 'completed' else 'missed' end;
  end if;
  perform private.restore_class_keys();
  return coalesce(cardinality(v_ids), 0);
end;
$$;
comment on function private.fix_classes_duplicated(text[]) is
  'Removes these duplicates, after moving their attendance, payments and links to the class that stays, and puts lost keys back.';
