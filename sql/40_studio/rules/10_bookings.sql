-- Bookings by themselves: their code, whom they belong to, and how their status moves. What confirms them is in
-- 50_serving.sql.

-- Drawing a number waits for nobody and never gives one twice within 36^4, so codes of one day differ however many
-- arrive at once. Multiplying by a number without a factor in common with 36^4 visits every code once a round, and
-- keeps a code from telling how many bookings there were.
create function private.booking_code(p_prefix text, p_day date, p_number bigint) returns text
language sql immutable strict set search_path = ''
return p_prefix || '-' || to_char(p_day, 'YYYYMMDD') || '-' || (
  select string_agg(substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', 1 + (p_number % 1679616 * 1000003 % 1679616 / d.place % 36)::integer, 1), '' order by d.place desc)
  from unnest(array[46656, 1296, 36, 1]) as d(place)
);
comment on function private.booking_code(text, date, bigint) is 'The code of the n-th booking drawn, for a day: the prefix, the day, and four of 36 letters and digits, as in YOG-20260131-04K7.';

-- Else every booking would be refused from then on.
create function private.check_booking_prefix() returns trigger
language plpgsql set search_path = ''
as $$
begin
  perform private.fail_input(private.input_error(
    coalesce(new.value, new.default_value) #>> '{}' !~ '^[A-Z0-9]{1,10}$', 'value', 'A prefix is 1 to 10 capital letters and digits'));
  return new;
end;
$$;
comment on function private.check_booking_prefix() is 'Row trigger on settings: codes of bookings can begin with the prefix.';

create trigger t30_check_booking_prefix before insert or update on public.settings
  for each row when (new.key = 'booking_prefix') execute function private.check_booking_prefix();

create function private.clean_booking(p_row public.bookings) returns public.bookings
language plpgsql immutable set search_path = ''
as $$
begin
  p_row.class_name := private.clean_text(p_row.class_name);
  p_row.instructor := private.clean_text(p_row.instructor);
  p_row.first_name := private.clean_text(p_row.first_name);
  p_row.last_name := private.clean_text(p_row.last_name);
  p_row.email := lower(private.clean_text(p_row.email));
  p_row.phone := private.clean_text(p_row.phone);
  p_row.notes := private.clean_text(p_row.notes);
  p_row.preferred_days := array(select t.t from (select private.clean_text(u.t) as t, u.n from unnest(p_row.preferred_days) with ordinality as u(t, n)) t where t.t is not null order by t.n);
  p_row.preferred_times := array(select t.t from (select private.clean_text(u.t) as t, u.n from unnest(p_row.preferred_times) with ordinality as u(t, n)) t where t.t is not null order by t.n);
  return p_row;
end;
$$;
comment on function private.clean_booking(public.bookings) is 'A booking with its texts cleaned.';

create function private.booking_errors(p_row public.bookings) returns jsonb
language sql stable set search_path = ''
return private.input_error(length(p_row.class_name) > 200, 'class_name', 'A class name has at most 200 characters')
  || private.input_error(length(p_row.instructor) > 200, 'instructor', 'An instructor''s name has at most 200 characters')
  || private.input_error(length(p_row.first_name) > 200, 'first_name', 'A name has at most 200 characters')
  || private.input_error(length(p_row.last_name) > 200, 'last_name', 'A name has at most 200 characters')
  || private.input_error(not private.is_email(p_row.email), 'email', 'That is no email address')
  || private.input_error(length(p_row.phone) > 50, 'phone', 'A phone number has at most 50 characters')
  || private.input_error(length(p_row.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
  || private.input_error(not private.is_time_zone(p_row.timezone), 'timezone', 'A time zone is an IANA name, such as Asia/Kolkata')
  || private.input_error(p_row.class_date not between date '1970-01-01' and date '2199-12-31', 'class_date', 'A date lies between 1970 and 2199')
  || private.input_error(cardinality(p_row.preferred_days) > 20 or length(array_to_string(p_row.preferred_days, '')) > 1000,
    'preferred_days', 'At most 20 days, of 1000 characters together')
  || private.input_error(cardinality(p_row.preferred_times) > 20 or length(array_to_string(p_row.preferred_times, '')) > 1000,
    'preferred_times', 'At most 20 times, of 1000 characters together')
  || private.input_error(coalesce(p_row.status, '') not in ('pending', 'confirmed', 'completed', 'cancelled'), 'status',
    'A booking is pending, confirmed, completed or cancelled')
  || private.input_error(coalesce(p_row.booking_type, '') not in ('individual', 'corporate', 'private_group', 'public_group'), 'booking_type',
    'A booking is individual, corporate, private_group or public_group')
  || private.input_error(p_row.uses_credits and p_row.profile_id is null, 'uses_credits', 'Credits belong to a person: say whose');
comment on function private.booking_errors(public.bookings) is 'What is wrong with a booking by itself, every field at once; its texts have been cleaned.';

create function private.check_booking() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_errors jsonb := '[]';
begin
  if tg_op = 'UPDATE' and new.booking_id is distinct from old.booking_id then
    perform private.fail('invalid_input', 'A booking keeps its code', 'booking_id', jsonb_build_object('booking_id', old.booking_id));
  end if;
  new := private.clean_booking(new);
  -- The person and their login go together. Only the one that is new decides.
  if tg_op = 'INSERT' or (new.user_id, new.profile_id) is distinct from (old.user_id, old.profile_id) then
    if new.profile_id is not null and (tg_op = 'INSERT' or new.profile_id is distinct from old.profile_id) then
      if tg_op = 'INSERT' and new.user_id is not distinct from private.caller_id()
        or tg_op = 'UPDATE' and new.user_id is not distinct from old.user_id then
        new.user_id := (select p.user_id from public.user_profiles p where p.id = new.profile_id);
      end if;
      v_errors := v_errors || private.input_error(
        new.user_id is distinct from (select p.user_id from public.user_profiles p where p.id = new.profile_id),
        'user_id', 'The login and the profile belong to different people');
    elsif new.user_id is not null then
      new.profile_id := coalesce((select p.id from public.user_profiles p where p.user_id = new.user_id), new.profile_id);
    end if;
  end if;
  perform private.fail_input(private.booking_errors(new) || v_errors);
  -- Whoever links classes has locked the booking, and read this after that.
  if tg_op = 'UPDATE' and (old.uses_credits or new.uses_credits)
    and (new.uses_credits, new.profile_id, new.class_package_id) is distinct from (old.uses_credits, old.profile_id, old.class_package_id)
    and private.is_served(new.booking_id) then
    perform private.fail('illegal_transition', 'Classes serve this booking already: whose credits it uses, and of which package, stays', 'uses_credits',
      jsonb_build_object('booking_id', new.booking_id), 'Take it off its classes first, or book anew.');
  end if;
  if tg_op = 'UPDATE' and (new.profile_id, new.class_package_id) is distinct from (old.profile_id, old.class_package_id)
    and not private.has_permission('update:booking') and private.was_held(new.booking_id) then
    perform private.fail('illegal_transition', 'A class of this booking was held already: whose it is, and what it costs, stays', 'class_package_id',
      jsonb_build_object('booking_id', new.booking_id), 'Whoever may update:booking can still change it.');
  end if;
  if tg_op = 'INSERT' then
    -- Whoever books gets a code; a server that brings bookings along brings their codes.
    if new.booking_id is null or not private.is_trusted() then
      loop
        new.booking_id := private.booking_code(private.setting_text('booking_prefix'), private.today(), nextval('private.booking_numbers'));
        exit when not exists (select from public.bookings b where b.booking_id = new.booking_id);
      end loop;
    end if;
  end if;
  return new;
end;
$$;
comment on function private.check_booking() is
  'Row trigger: cleans texts, names every bad field, gives a code, and keeps the person and their login together.';

-- confirmed and pending follow from the classes. Only the trigger that works them out, which runs inside another, sets
-- them; everybody else may end a booking.
create function private.check_booking_status() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_from text := case tg_op when 'UPDATE' then old.status end;
begin
  if tg_op = 'INSERT' and (new.status = 'pending' or new.status <> 'confirmed' and private.has_permission('update:booking')) then
    return new;
  end if;
  if tg_op = 'UPDATE' then
    if new.status = old.status then
      return new;
    end if;
    if old.status in ('pending', 'confirmed') then
      if new.status = 'cancelled' and not new.uses_credits and not private.has_permission('update:booking') and private.was_held(new.booking_id) then
        perform private.fail('illegal_transition', 'A class of this booking was held already: it is owed for, and ends otherwise', 'status',
          jsonb_build_object('booking_id', new.booking_id, 'from', v_from, 'to', new.status), 'Whoever may update:booking can still cancel it.');
      end if;
      if new.status = 'cancelled' or new.status = 'completed' and private.has_permission('update:booking') and old.status = 'confirmed' then
        return new;
      end if;
      if new.status in ('pending', 'confirmed') and (new.status = 'confirmed') = private.is_served(new.booking_id) then
        return new;
      end if;
    end if;
  end if;
  perform private.fail('illegal_transition',
    case when new.status in ('pending', 'confirmed') and coalesce(v_from, 'pending') in ('pending', 'confirmed')
      then 'A booking is confirmed by a class that serves it, and pending again without one'
      else format('A booking cannot go from %s to %s', coalesce(v_from, 'nothing'), new.status) end,
    'status', jsonb_build_object('booking_id', new.booking_id, 'from', v_from, 'to', new.status),
    case when new.status = 'confirmed' then 'Link it to a class in assignment_bookings.' end);
  return new;
end;
$$;
comment on function private.check_booking_status() is
  'Row trigger: pending and confirmed are what the classes say; only completed and cancelled are set, and are ends.';

create function private.is_served(p_booking_id text) returns boolean
language sql stable security definer set search_path = ''
begin atomic
  select exists (
    select
    from public.assignment_bookings l
    join public.class_assignments a on a.id = l.assignment_id and a.class_status <> 'cancelled'
    where l.booking_id = p_booking_id
  ) or exists (
    select from public.class_assignments_archive a where a.booking_ids @> array[p_booking_id] and a.class_status <> 'cancelled'
  );
end;
comment on function private.is_served(text) is 'Whether a class that is not cancelled serves this booking.';

create function private.was_held(p_booking_id text) returns boolean
language sql stable security definer set search_path = ''
begin atomic
  select exists (
    select
    from public.assignment_bookings l
    join public.class_assignments a on a.id = l.assignment_id and a.class_status <> 'cancelled' and a.instructor_status <> 'rejected'
    where l.booking_id = p_booking_id and coalesce(a.starts_at <= private.now(), a.date < private.today())
  ) or exists (
    select from public.class_assignments_archive a where a.booking_ids @> array[p_booking_id] and a.class_status <> 'cancelled'
  );
end;
comment on function private.was_held(text) is 'Whether a class that serves this booking has begun, so that cancelling it comes too late for the customer.';

create trigger t10_keep_version before update on public.bookings
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.bookings
  for each row execute function private.check_booking();
create trigger t25_check_status before insert or update of status on public.bookings
  for each row execute function private.check_booking_status();
