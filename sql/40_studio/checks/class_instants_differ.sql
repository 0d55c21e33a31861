create function private.check_class_instants_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', a.id::text,
    format('The class of %s on %s is kept as %s, which is not what its local date and times say', p.full_name, a.date,
      private.describe_range(tstzrange(a.starts_at, a.ends_at), a.time_zone)),
    jsonb_build_object('date', a.date, 'start_time', a.start_time, 'end_time', a.end_time, 'time_zone', a.time_zone,
      'starts_at', a.starts_at, 'ends_at', a.ends_at)
  from public.class_assignments a
  join public.user_profiles p on p.id = a.instructor_id
  where a.start_time is not null and (a.starts_at, a.ends_at) is distinct from (
    private.local_to_instant(a.date, a.start_time, a.time_zone), private.local_end_to_instant(a.date, a.end_time, a.time_zone)
  );
end;
comment on function private.check_class_instants_differ() is
  'Finds classes whose instants are not those of their wall-clock time: written around the triggers, or before the time zone database changed.';

create function private.fix_class_instants_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
begin
  begin
    update public.class_assignments a
    set starts_at = private.local_to_instant(a.date, a.start_time, a.time_zone), ends_at = private.local_end_to_instant(a.date, a.end_time, a.time_zone)
    where a.id = any(p_entity_ids::uuid[]);
  exception when sqlstate 'PGRST' then
    -- The time of one of them does not exist, or is somebody else's: that one stays a finding.
    foreach v_id in array p_entity_ids::uuid[] loop
      begin
        update public.class_assignments a
        set starts_at = private.local_to_instant(a.date, a.start_time, a.time_zone), ends_at = private.local_end_to_instant(a.date, a.end_time, a.time_zone)
        where a.id = v_id;
      exception when sqlstate 'PGRST' then
        continue;
      end;
    end loop;
  end;
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.fix_class_instants_differ(text[]) is 'Works the instants of these classes out again, and moves their claims, where nobody else has the time.';
