-- Time off: when it is, who may decide it, and what becomes of what the person was needed for.

-- Claims, and beyond the horizon, where nothing is claimed yet, what weekly rules promise.
create function private.uses_within(p_resource_ids uuid[], p_during tstzrange)
returns table (resource_id uuid, source_table text, source_id uuid, occurs_on date, kind text, title text, during tstzrange)
language sql stable security definer set search_path = ''
begin atomic
  select c.resource_id, c.source_table, c.source_id, c.occurs_on, c.kind, c.title, c.during
  from public.claims c
  where c.resource_id = any(p_resource_ids) and c.during && p_during
  union all
  select c.resource_id, c.source_table, c.source_id, c.occurs_on, c.kind, c.title, c.during
  from public.claims c
  where p_resource_ids is null and c.during && p_during
  union all
  select h.resource_id, 'weekly_rules', r.id, o.occurs_on, r.kind, r.title, o.during
  from public.resource_horizons h
  join public.weekly_rule_resources p on p.resource_id = h.resource_id
  join public.weekly_rules r on r.id = p.rule_id
  cross join lateral private.rule_occurrences(
    r, greatest(h.claimed_until, lower(p_during) - interval '24 hours'), upper(p_during)
  ) o
  where (p_resource_ids is null or h.resource_id = any(p_resource_ids))
    and h.claimed_until < upper(p_during) and o.during && p_during;
end;
comment on function private.uses_within(uuid[], tstzrange) is
  'What these resources (null: all) are needed for in a range, whether claimed already or promised by a weekly rule.';

create function private.time_off_errors(
  p_starts_on date, p_ends_on date, p_start_time time, p_end_time time, p_time_zone text, p_prefix text
) returns jsonb
language sql stable set search_path = ''
return private.input_error(p_starts_on is null, p_prefix || 'starts_on', 'Say on which day it starts')
  || private.input_error(p_starts_on not between date '1970-01-01' and date '2199-12-30', p_prefix || 'starts_on', 'A date lies between 1970 and 2199')
  || private.input_error(p_ends_on not between date '1970-01-01' and date '2199-12-30', p_prefix || 'ends_on', 'A date lies between 1970 and 2199')
  || private.input_error(p_ends_on < p_starts_on, p_prefix || 'ends_on', 'The last day must not be before the first')
  || private.input_error(isfinite(p_starts_on) and isfinite(p_ends_on) and p_ends_on - p_starts_on >= 731, p_prefix || 'ends_on',
    'Time off lasts at most two years')
  || private.input_error(
    coalesce(p_ends_on, p_starts_on) = p_starts_on and coalesce(p_end_time, time '24:00') <= coalesce(p_start_time, time '00:00'),
    p_prefix || 'end_time', 'The end must be after the start')
  || private.input_error(not private.is_time_zone(p_time_zone), p_prefix || 'time_zone', 'That is no IANA time zone');
comment on function private.time_off_errors(date, date, time, time, text, text) is
  'What is wrong with time off, as private.fail_input takes it; the prefix goes before each field.';

create function private.set_time_off_range() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_starts_at timestamptz;
  v_ends_at timestamptz;
begin
  if tg_op = 'UPDATE' and old.status <> 'requested' and (
    (new.resource_id, new.starts_on, new.ends_on, new.start_time, new.end_time, new.time_zone)
    is distinct from (old.resource_id, old.starts_on, old.ends_on, old.start_time, old.end_time, old.time_zone)
  ) then
    perform private.fail('illegal_transition', format('Time off that is %s keeps its dates', old.status), 'starts_on',
      jsonb_build_object('id', old.id, 'status', old.status), 'Cancel it and request the other dates.');
  end if;
  new.ends_on := coalesce(new.ends_on, new.starts_on);
  new.time_zone := coalesce(new.time_zone, private.resource_time_zone(new.resource_id));
  perform private.fail_input(
    private.time_off_errors(new.starts_on, new.ends_on, new.start_time, new.end_time, new.time_zone, '')
  );
  v_starts_at := case when new.start_time is null then private.day_start(new.starts_on, new.time_zone)
    else private.local_to_instant(new.starts_on, new.start_time, new.time_zone) end;
  if v_starts_at is null then
    perform private.fail_local_time(new.starts_on, new.start_time, new.time_zone, 'start_time');
  end if;
  v_ends_at := case when new.end_time is null then private.day_start(new.ends_on + 1, new.time_zone)
    else private.local_end_to_instant(new.ends_on, new.end_time, new.time_zone) end;
  if v_ends_at is null then
    perform private.fail_local_time(new.ends_on, new.end_time, new.time_zone, 'end_time');
  end if;
  if v_ends_at <= v_starts_at then
    perform private.fail('invalid_input', 'The clock skips all of it', 'ends_on');
  end if;
  new.during := tstzrange(v_starts_at, v_ends_at);
  return new;
end;
$$;
comment on function private.set_time_off_range() is
  'Row trigger: works out during, names every bad field, and keeps the dates of time off that was decided.';

-- Approving locks the person, as whoever claims their time does where claims in time off are refused.
create function private.check_time_off_status() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_from text := case tg_op when 'UPDATE' then old.status end;
  v_is_own boolean := not private.is_trusted() and new.resource_id = private.current_profile_id();
begin
  if tg_op = 'UPDATE' and new.status = old.status then
    return new;
  end if;
  if (coalesce(v_from, 'new'), new.status) not in (
    ('new', 'requested'), ('requested', 'approved'), ('requested', 'refused'), ('requested', 'cancelled'), ('approved', 'cancelled')
  ) then
    perform private.fail('illegal_transition',
      case tg_op when 'UPDATE' then format('Time off that is %s cannot become %s', v_from, new.status)
        else 'Time off is requested first, then decided' end,
      'status', jsonb_build_object('id', new.id, 'from', v_from, 'to', new.status));
  end if;
  if new.status = 'requested' then
    new.decided_by := null;
    new.decided_at := null;
  elsif new.status = 'cancelled' then
    if not private.has_permission('decide:time_off') then
      if v_is_own is not true then
        perform private.require_permission('decide:time_off');
      elsif v_from = 'approved' and lower(new.during) <= private.now() then
        perform private.fail('forbidden', 'It has begun: only those who decide time off can cancel it now',
          p_details => jsonb_build_object('id', new.id, 'permission', 'decide:time_off'));
      end if;
    end if;
  else
    perform private.require_permission('decide:time_off');
    if v_is_own and not private.has_role('admin') then
      perform private.fail('forbidden', 'Somebody else has to decide your own time off', p_details => jsonb_build_object('id', new.id));
    end if;
    new.decided_by := private.caller_id();
    new.decided_at := private.now();
  end if;
  if new.status = 'approved' then
    perform private.require_read_committed();
    perform private.lock_resources(array[new.resource_id]);
    if not new.keeps_claims then
      perform private.refuse_time_off_in_use(new);
    end if;
  end if;
  return new;
end;
$$;
comment on function private.check_time_off_status() is
  'Row trigger: time off is requested, decided by somebody else, perhaps cancelled, and not approved while the person is needed, unless that is kept.';

create function private.refuse_time_off_in_use(p_time_off public.time_off) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_name text := (select r.name from public.resources r where r.id = p_time_off.resource_id);
  v_message text;
  v_conflicts jsonb;
  v_count integer;
begin
  with numbered as (
    select u.*, row_number() over (order by lower(u.during), u.title, u.source_id) as position, count(*) over () as total
    from private.uses_within(array[p_time_off.resource_id], p_time_off.during) u
  )
  select max(n.total),
    max(case when n.position = 1 then
      format('%s is needed then: %s, %s', v_name, n.title, private.describe_range(n.during, p_time_off.time_zone))
      || case when n.total > 1 then format(' (and %s more)', n.total - 1) else '' end
    end),
    jsonb_agg(
      jsonb_build_object(
        'resource_id', p_time_off.resource_id, 'resource_name', v_name, 'source_table', 'time_off', 'source_id', p_time_off.id,
        'starts_at', lower(p_time_off.during), 'ends_at', upper(p_time_off.during), 'conflicts_with',
        jsonb_build_object('starts_at', lower(n.during), 'ends_at', upper(n.during), 'source_table', n.source_table,
          'source_id', n.source_id, 'occurs_on', n.occurs_on, 'kind', n.kind, 'title', n.title)
      ) order by n.position
    ) filter (where n.position <= 100)
  into v_count, v_message, v_conflicts
  from numbered n;
  if v_count > 0 then
    perform private.fail('time_conflict', v_message, p_details => jsonb_build_object('conflicts', v_conflicts, 'count', v_count),
      p_hint => 'Refuse the time off, move what is there, or approve it and keep that, flagged for cover (p_claims "keep").');
  end if;
end;
$$;
comment on function private.refuse_time_off_in_use(public.time_off) is
  'Raises time_conflict listing what a person is needed for during their time off.';

create function private.flag_for_cover() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if new.status = 'approved' then
    insert into public.cover_requests (time_off_id, resource_id, source_table, source_id, occurs_on)
    select new.id, u.resource_id, u.source_table, u.source_id, u.occurs_on
    from private.uses_within(array[new.resource_id], new.during) u
    order by u.occurs_on, u.source_id;
  else
    update public.cover_requests c set status = 'dropped' where c.time_off_id = new.id and c.status = 'open';
  end if;
  return null;
end;
$$;
comment on function private.flag_for_cover() is
  'Row trigger: approved time off asks for cover for what the person was needed for; cancelled time off asks no longer.';

create trigger t10_keep_version before update on public.time_off
  for each row execute function private.keep_version();
create trigger t20_set_range
  before insert or update of resource_id, starts_on, ends_on, start_time, end_time, time_zone, during on public.time_off
  for each row execute function private.set_time_off_range();
create trigger t30_check_status before insert or update of status on public.time_off
  for each row execute function private.check_time_off_status();
create trigger t60_flag_for_cover after update of status on public.time_off
  for each row when (old.status <> new.status) execute function private.flag_for_cover();

create function private.check_cover_request() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_use record;
begin
  if (new.id, new.time_off_id, new.resource_id, new.source_table, new.source_id, new.occurs_on)
    is distinct from (old.id, old.time_off_id, old.resource_id, old.source_table, old.source_id, old.occurs_on) then
    perform private.fail('invalid_input', 'A cover request stays with what it is for', 'source_id');
  end if;
  if new.status = old.status then
    return new;
  end if;
  if old.status <> 'open' or new.status not in ('covered', 'dropped') then
    perform private.fail('illegal_transition', format('A cover request that is %s cannot become %s', old.status, new.status), 'status',
      jsonb_build_object('id', new.id, 'from', old.status, 'to', new.status));
  end if;
  if new.status = 'covered' then
    select u.title, u.during, r.name into v_use
    from public.time_off t
    cross join lateral private.uses_within(array[new.resource_id], t.during) u
    join public.resources r on r.id = new.resource_id
    where t.id = new.time_off_id and u.source_table = new.source_table and u.source_id = new.source_id
      and u.occurs_on = new.occurs_on;
    if found then
      perform private.fail('illegal_transition',
        format('%s is still down for %s, %s', v_use.name, v_use.title, private.describe_range(v_use.during)), 'status',
        jsonb_build_object('id', new.id, 'from', old.status, 'to', new.status),
        'Give it to somebody else first, or drop the request when no cover is needed.');
    end if;
  end if;
  return new;
end;
$$;
comment on function private.check_cover_request() is
  'Row trigger: a cover request is open, then covered (once the one who is away is out of it) or dropped.';

create trigger t00_only_triggers_insert before insert on public.cover_requests
  for each statement execute function private.refuse_direct_write(
    'Approve time off with p_claims "keep": what is needed then is flagged.');
create trigger t10_keep_version before update on public.cover_requests
  for each row execute function private.keep_version();
create trigger t20_check before update on public.cover_requests
  for each row execute function private.check_cover_request();
