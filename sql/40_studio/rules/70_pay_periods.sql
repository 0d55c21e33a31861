-- Pay periods: closed and reopened by events, and nothing that is paid for changes while closed.
--
-- Closing waits for everybody who is writing classes, and whoever writes after it asks for the period's status in a
-- statement of their own, which sees it closed. Everybody who closes locks the classes first, then the period.

create function private.check_pay_period() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_other public.pay_periods;
  v_kind text := (select e.kind from public.pay_period_events e where e.pay_period_id = new.id order by e.event_no desc limit 1);
begin
  -- Before anything is said of other periods: policies are asked after this.
  if tg_op = 'INSERT' then
    perform private.require_permission('manage:pay');
  end if;
  new.name := private.clean_text(new.name);
  perform private.fail_input(
    private.input_error(new.name is null, 'name', 'Say what it is called')
    || private.input_error(length(new.name) > 200, 'name', 'A name has at most 200 characters')
    || private.input_error(new.starts_on is null, 'starts_on', 'Say on which day it starts')
    || private.input_error(new.ends_on is null, 'ends_on', 'Say on which day it ends')
    || private.input_error(new.starts_on not between date '1970-01-01' and date '2199-12-31', 'starts_on', 'A date lies between 1970 and 2199')
    || private.input_error(new.ends_on not between date '1970-01-01' and date '2199-12-31', 'ends_on', 'A date lies between 1970 and 2199')
    || private.input_error(new.ends_on < new.starts_on, 'ends_on', 'The last day must not be before the first')
  );
  if (new.status = 'closed') is distinct from coalesce(v_kind = 'closed', false) then
    perform private.fail('illegal_transition', format('The status of %s follows from what was recorded of it', new.name), 'status',
      jsonb_build_object('pay_period_id', new.id, 'to', new.status), 'Call close_pay_period or reopen_pay_period.');
  end if;
  if tg_op = 'UPDATE' and old.status = 'closed' and (new.id, new.name, new.starts_on, new.ends_on) is distinct from (old.id, old.name, old.starts_on, old.ends_on) then
    perform private.fail('illegal_transition', format('The pay period %s is closed: its name and days stay', old.name), 'status',
      jsonb_build_object('pay_period_id', old.id), 'Reopen it with reopen_pay_period, which asks for a reason.');
  end if;
  -- Of two at once the constraints refuse the second.
  select p.* into v_other from public.pay_periods p
  where p.id <> new.id and (p.name = new.name or daterange(p.starts_on, p.ends_on, '[]') && daterange(new.starts_on, new.ends_on, '[]'))
  order by p.name = new.name desc, p.starts_on
  limit 1;
  if found then
    perform private.fail('duplicate', case when v_other.name = new.name then format('There is a pay period called %s', v_other.name)
        else format('%s already covers %s to %s', v_other.name, v_other.starts_on, v_other.ends_on) end,
      case when v_other.name = new.name then 'name' else 'starts_on' end,
      jsonb_build_object('pay_period_id', v_other.id, 'starts_on', v_other.starts_on, 'ends_on', v_other.ends_on));
  end if;
  return new;
end;
$$;
comment on function private.check_pay_period() is
  'Row trigger: names every bad field; the status is what the events say, and a closed period keeps its name and days.';

create function private.keep_recorded_period() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if exists (select from public.pay_period_events e where e.pay_period_id = old.id) then
    perform private.fail('illegal_transition', format('The pay period %s was closed before: it stays', old.name), 'id',
      jsonb_build_object('pay_period_id', old.id));
  end if;
  return old;
end;
$$;
comment on function private.keep_recorded_period() is 'Row trigger: a period that was ever closed is not deleted.';

create trigger t10_keep_version before update on public.pay_periods
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.pay_periods
  for each row execute function private.check_pay_period();
create trigger t20_keep_recorded before delete on public.pay_periods
  for each row execute function private.keep_recorded_period();

create function private.check_pay_period_event() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_period public.pay_periods;
  v_scheduled integer;
begin
  perform private.require_permission('manage:pay');
  perform private.require_read_committed();
  new.reason := private.clean_text(new.reason);
  if private.caller_id() is not null then
    new.recorded_by := private.caller_id();
    new.created_at := private.now();
  end if;
  perform private.fail_input(
    private.input_error(coalesce(new.kind, '') not in ('closed', 'reopened'), 'kind', 'A pay period is closed or reopened')
    || private.input_error(new.kind = 'reopened' and new.reason is null, 'reason', 'Say why')
    || private.input_error(length(new.reason) > 1000, 'reason', 'A reason has at most 1000 characters')
  );
  if new.kind = 'closed' then
    -- Lets readers go on, and waits for whoever wrote a class and has not ended. In the order in which classes are moved
    -- to the archive.
    lock table public.class_assignments_archive, public.class_assignments in share row exclusive mode;
  end if;
  select p.* into v_period from public.pay_periods p where p.id = new.pay_period_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such pay period', 'pay_period_id', jsonb_build_object('pay_period_id', new.pay_period_id));
  end if;
  if (v_period.status = 'closed') = (new.kind = 'closed') then
    perform private.fail('illegal_transition', format('The pay period %s is %s already', v_period.name, v_period.status), 'kind',
      jsonb_build_object('pay_period_id', v_period.id, 'from', v_period.status, 'to', case new.kind when 'closed' then 'closed' else 'open' end));
  end if;
  if new.kind = 'closed' then
    select count(*) into v_scheduled from public.class_assignments a
    where a.date between v_period.starts_on and v_period.ends_on and a.class_status = 'scheduled';
    if v_scheduled > 0 then
      perform private.fail('illegal_transition',
        format('%s of the classes in %s %s still scheduled', v_scheduled, v_period.name, case v_scheduled when 1 then 'is' else 'are' end), 'kind',
        jsonb_build_object('pay_period_id', v_period.id, 'scheduled', v_scheduled), 'Complete, move or cancel them first.');
    end if;
  end if;
  new.event_no := 1 + coalesce((select max(e.event_no) from public.pay_period_events e where e.pay_period_id = v_period.id), 0);
  return new;
end;
$$;
comment on function private.check_pay_period_event() is
  'Row trigger: holders of manage:pay close what is open, once nothing in it is still scheduled, and reopen what is closed, with a reason.';

create function private.follow_pay_period_event() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.pay_periods p set status = case new.kind when 'closed' then 'closed' else 'open' end where p.id = new.pay_period_id;
  return null;
end;
$$;
comment on function private.follow_pay_period_event() is 'Row trigger: a period is what its last event says.';

create trigger t10_only_added_to before update or delete or truncate on public.pay_period_events
  for each statement execute function private.refuse_statement('pay_period_events is only ever added to');
create trigger t20_check before insert on public.pay_period_events
  for each row execute function private.check_pay_period_event();
create trigger t50_follow after insert on public.pay_period_events
  for each row execute function private.follow_pay_period_event();

create function private.pay_facts(p_row jsonb) returns jsonb
language sql immutable strict set search_path = ''
return (
  select jsonb_object_agg(f.name, p_row -> f.name)
  from unnest(array[
    'id', 'instructor_id', 'date', 'start_time', 'end_time', 'payment_amount', 'payment_type', 'payment_status', 'class_status', 'rate', 'rate_id'
  ]) as f(name)
);
comment on function private.pay_facts(jsonb) is 'Of a class, what it is paid for by.';

create function private.fail_closed_period(p_id uuid, p_period public.pay_periods) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.fail('illegal_transition',
    format('The pay period %s is closed: its classes are neither added, removed nor changed', p_period.name),
    'date', jsonb_build_object('id', p_id, 'pay_period_id', p_period.id, 'pay_period', p_period.name),
    'Reopen it with reopen_pay_period, which asks for a reason.');
end;
$$;
comment on function private.fail_closed_period(uuid, public.pay_periods) is 'Raises illegal_transition for a class in a closed pay period.';

-- After the row is written, so that it sees what other triggers made of it. Volatile, so that it sees a period closed
-- while the statement waited. A class that stands in both tables alike is being moved from one to the other.
create function private.keep_closed_periods() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_period public.pay_periods;
  v_facts jsonb;
  v_twin jsonb;
begin
  perform private.require_read_committed();
  select p.* into v_period from public.pay_periods p
  where p.status = 'closed' and case tg_op when 'INSERT' then new.date else old.date end between p.starts_on and p.ends_on
  limit 1;
  if not found then
    return null;
  end if;
  v_facts := private.pay_facts(case tg_op when 'INSERT' then to_jsonb(new) else to_jsonb(old) end);
  if tg_table_name = 'class_assignments' then
    v_twin := (select private.pay_facts(to_jsonb(a)) from public.class_assignments_archive a where a.id = (v_facts ->> 'id')::uuid);
  else
    v_twin := (select private.pay_facts(to_jsonb(a)) from public.class_assignments a where a.id = (v_facts ->> 'id')::uuid);
  end if;
  if v_twin is distinct from v_facts then
    perform private.fail_closed_period((v_facts ->> 'id')::uuid, v_period);
  end if;
  return null;
end;
$$;
comment on function private.keep_closed_periods() is 'Row trigger: in a closed pay period no class comes or goes.';

-- Many classes change at once, and asking takes longer than writing a row. A class that gets another id is one gone and
-- another one come.
create function private.keep_closed_periods_on_update() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_found record;
begin
  perform private.require_read_committed();
  if not exists (select from public.pay_periods p where p.status = 'closed') then
    return null;
  end if;
  select coalesce((c.before).id, (c.after).id) as id, c.period into v_found
  from (
    select o::public.class_assignments as before, n::public.class_assignments as after, p as period
    from old_rows o
    full join new_rows n on n.id = o.id
    join public.pay_periods p on p.status = 'closed' and (o.date between p.starts_on and p.ends_on or n.date between p.starts_on and p.ends_on)
    -- Only what lies in closed periods is worth comparing.
    offset 0
  ) c
  where private.pay_facts(to_jsonb(c.before)) is distinct from private.pay_facts(to_jsonb(c.after))
  limit 1;
  if found then
    perform private.fail_closed_period(v_found.id, v_found.period);
  end if;
  return null;
end;
$$;
comment on function private.keep_closed_periods_on_update() is
  'Statement trigger: in a closed pay period no class changes who, when, its status or its pay; notes may.';

-- Everything else is refused in the archive whatever the period.
create trigger t30_keep_closed_periods after insert or delete on public.class_assignments
  for each row execute function private.keep_closed_periods();
create trigger t30_keep_closed_periods after insert on public.class_assignments_archive
  for each row execute function private.keep_closed_periods();
-- Before it is asked who changes what.
create trigger t15_keep_closed_periods after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.keep_closed_periods_on_update();
