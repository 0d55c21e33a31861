-- Holds: seats kept for some minutes. A seat is held until an instant that simply passes, so nothing has to run for it to
-- be free again.

create function private.check_hold() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_session public.course_sessions;
begin
  if tg_op = 'UPDATE' then
    if to_jsonb(new) - 'released_at' <> to_jsonb(old) - 'released_at' and new.user_id is not distinct from old.user_id
      or old.released_at is not null and new.released_at is distinct from old.released_at then
      perform private.fail('illegal_transition', 'A hold is released, not changed', 'released_at', jsonb_build_object('id', old.id));
    end if;
    return new;
  end if;
  new.held_until := coalesce(new.held_until, private.now() + make_interval(mins => private.setting_integer('session_hold_minutes')));
  perform private.fail_input(
    private.input_error(coalesce(new.seats, 0) not between 1 and 1000, 'seats', 'At least one seat is held')
    || private.input_error(new.held_until <= private.now() or new.held_until > private.now() + interval '1 day', 'held_until',
      'Seats are held for some minutes, a day at most')
    || private.input_error(new.released_at is not null, 'released_at', 'It is held before it is released'));
  select s.* into v_session from public.course_sessions s where s.id = new.session_id;
  perform private.refuse_closed(v_session);
  return new;
end;
$$;
comment on function private.check_hold() is 'Row trigger: a hold lasts some minutes, on a session that can be booked; once made it is only released.';

create trigger t00_read_committed before insert or update or delete on public.session_holds
  for each statement execute function private.refuse_other_isolation();
create trigger t20_check before insert or update on public.session_holds
  for each row execute function private.check_hold();

create function private.hold_free_seats() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_hold public.session_holds;
  v_session public.course_sessions;
  v_seats integer[];
  v_waits constant boolean := private.may_wait_for_seats();
begin
  if (select count(distinct n.session_id) from new_rows n) > 1 then
    perform private.queue_for_sessions(array(select n.session_id from new_rows n), v_waits);
  end if;
  for v_hold in
    select h.* from public.session_holds h where h.id in (select n.id from new_rows n) order by h.session_id, h.id
  loop
    v_seats := private.lock_free_seats(v_hold.session_id, v_hold.seats, '{}', false, v_waits);
    update public.session_seats s
    set held_by = v_hold.id, held_until = v_hold.held_until
    where s.session_id = v_hold.session_id and s.seat_no = any(v_seats);
    select s.* into v_session from public.course_sessions s where s.id = v_hold.session_id;
    perform private.refuse_closed(v_session);
  end loop;
  perform set_config('classbase.has_seats', 'yes', true);
  return null;
end;
$$;
comment on function private.hold_free_seats() is 'Statement trigger: a new hold keeps its seats, or fails where there are too few.';

create trigger t50_hold_seats after insert on public.session_holds
  referencing new table as new_rows for each statement execute function private.hold_free_seats();

create function private.release_held_seats() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.session_seats s set held_by = null, held_until = null where s.held_by = old.id;
  return coalesce(new, old);
end;
$$;
comment on function private.release_held_seats() is 'Row trigger: a hold that is released or deleted gives its seats back.';

create trigger t40_release_update before update on public.session_holds
  for each row when (new.released_at is not null and old.released_at is null) execute function private.release_held_seats();
create trigger t40_release_delete before delete on public.session_holds
  for each row execute function private.release_held_seats();

create function private.forget_old_holds() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_forgotten integer;
begin
  delete from public.session_holds h where h.held_until < private.now() - interval '1 day';
  get diagnostics v_forgotten = row_count;
  return v_forgotten;
end;
$$;
comment on function private.forget_old_holds() is 'Job: deletes holds that were over a day ago; returns how many.';
