-- Importing bookings. Their links come with the classes that serve them, which then confirm them.

create function private.booking_columns() returns jsonb
language sql immutable set search_path = ''
return '{"id": "uuid", "booking_id": "code", "customer": "person:profile_id", "class_name": "text", "instructor": "text", "class_date": "date",
  "class_time": "time", "preferred_days": "list", "preferred_times": "list", "timezone": "text", "first_name": "text", "last_name": "text",
  "email": "text", "phone": "text", "status": "word", "booking_type": "word", "package": "package:class_package_id", "uses_credits": "boolean",
  "notes": "text", "created_by": "login", "created_at": "instant"}'::jsonb;
comment on function private.booking_columns() is 'The columns of a file of bookings, each with its kind.';

create function private.read_bookings(p_items private.import_item[]) returns setof public.bookings
language sql stable security definer set search_path = ''
begin atomic
  select b.*
  from unnest(p_items) i
  cross join lateral private.clean_booking(jsonb_populate_record(null::public.bookings,
    '{"preferred_days": [], "preferred_times": [], "timezone": "Asia/Kolkata", "status": "pending", "booking_type": "individual", "uses_credits": false}'
    || jsonb_strip_nulls(i.fields)
    || jsonb_build_object('id', i.id, 'user_id', (select p.user_id from public.user_profiles p where p.id = (i.fields ->> 'profile_id')::uuid)))) b
  where i.fate = 'new'
  order by i.row_number;
end;
comment on function private.read_bookings(private.import_item[]) is 'The bookings these rows ask for, in their order.';

create function private.import_booking_rows(p_rows jsonb, p_request jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set work_mem = '64MB' set jit = off
as $$
declare
  v_items private.import_item[];
  v_faults private.import_fault[];
  v_ends constant boolean := private.has_permission('update:booking');
  v_report jsonb;
begin
  perform private.require_permission('create:booking');
  perform private.require_permission('bulk:assignment');
  perform private.start_import('bookings', p_request);
  select r.p_items, r.p_faults into v_items, v_faults
  from private.read_cells('booking', p_rows, private.booking_columns(), array['booking_id', 'created_by', 'created_at']) r;
  v_faults := v_faults || private.faults_of_repeats(v_items, 'id') || private.faults_of_repeats(v_items, 'booking_id');
  v_items := private.with_fate(v_items, 'present', array(
    select i.row_number
    from unnest(v_items) i
    join public.bookings b on b.id = i.id or b.booking_id = i.fields ->> 'booking_id'
  ));
  v_faults := v_faults || array(
    select f
    from unnest(v_items) i
    join private.read_bookings(v_items) b on b.id = i.id
    cross join lateral private.faults_of_errors(i,
      private.booking_errors(b)
      || private.input_error(b.status in ('completed', 'cancelled') and not v_ends, 'status', 'Whoever may update:booking ends bookings'),
      private.booking_columns()) f
  );
  v_report := private.import_items_report(p_request, v_items, v_faults, '[]');
  if (p_request ->> 'dry_run')::boolean then
    return v_report;
  end if;
  if (v_report ->> 'refused')::boolean then
    perform private.refuse_items(v_report);
  end if;
  -- The classes that serve a booking confirm it, when they come.
  insert into public.bookings (id, booking_id, user_id, profile_id, class_name, instructor, class_date, class_time, preferred_days, preferred_times,
    timezone, first_name, last_name, email, phone, status, booking_type, class_package_id, uses_credits, notes, created_by, created_at)
  select b.id, b.booking_id, b.user_id, b.profile_id, b.class_name, b.instructor, b.class_date, b.class_time, b.preferred_days, b.preferred_times,
    b.timezone, b.first_name, b.last_name, b.email, b.phone, case b.status when 'confirmed' then 'pending' else b.status end, b.booking_type,
    b.class_package_id, b.uses_credits, b.notes, coalesce(b.created_by, private.caller_id()), coalesce(b.created_at, private.now())
  from private.read_bookings(v_items) b;
  return v_report;
end;
$$;
comment on function private.import_booking_rows(jsonb, jsonb) is
  'Imports bookings, or says what importing them would do, for a holder of create:booking and bulk:assignment.';
