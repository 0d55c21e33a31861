-- Who may see and write bookings, schedules, classes and the links between them. What a row may become is for the
-- triggers to say; here it is whose rows are whose.

alter table public.bookings enable row level security;
alter table public.class_schedules enable row level security;
alter table public.class_assignments enable row level security;
alter table public.assignment_bookings enable row level security;
alter table public.class_assignments_archive enable row level security;

-- Bookings: a customer's own; everyone's with the permission. The code is the database's to give.
grant select, delete on public.bookings to authenticated, service_role;
grant insert (user_id, profile_id, class_name, instructor, class_date, class_time, preferred_days, preferred_times, timezone, first_name,
  last_name, email, phone, status, booking_type, class_package_id, uses_credits, notes) on public.bookings to authenticated;
grant update (user_id, profile_id, class_name, instructor, class_date, class_time, preferred_days, preferred_times, timezone, first_name,
  last_name, email, phone, status, booking_type, class_package_id, uses_credits, notes, version) on public.bookings to authenticated;
grant insert, update on public.bookings to service_role;
create policy "people see their own bookings, holders of read:booking all" on public.bookings for select to authenticated
  using (profile_id = (select private.current_profile_id()) or user_id = (select private.caller_id()) or (select private.has_permission('read:booking')));
create policy "people book for themselves, holders of create:booking for all" on public.bookings for insert to authenticated
  with check (user_id = (select private.active_caller_id()) or (select private.has_permission('create:booking')));
create policy "people change their own bookings, holders of update:booking all" on public.bookings for update to authenticated
  using (
    (select private.active_caller_id()) is not null and (profile_id = (select private.current_profile_id()) or user_id = (select private.caller_id()))
    or (select private.has_permission('update:booking'))
  )
  with check (profile_id = (select private.current_profile_id()) or user_id = (select private.caller_id()) or (select private.has_permission('update:booking')));
create policy "holders of delete:booking delete bookings" on public.bookings for delete to authenticated
  using ((select private.has_permission('delete:booking')));

-- The week of classes is public knowledge among those who signed in; anybody else asks the website.
grant select, delete on public.class_schedules to authenticated, service_role;
grant insert (class_type_id, day_of_week, start_time, end_time, time_zone, instructor_id, location_id, duration_minutes, max_participants,
  is_active, effective_from, effective_until, notes) on public.class_schedules to authenticated;
grant update (class_type_id, day_of_week, start_time, end_time, time_zone, instructor_id, location_id, duration_minutes, max_participants,
  is_active, effective_from, effective_until, notes, version) on public.class_schedules to authenticated;
grant insert, update on public.class_schedules to service_role;
create policy "signed-in people see schedules" on public.class_schedules for select to authenticated using (true);
create policy "holders of manage:schedules add schedules" on public.class_schedules for insert to authenticated
  with check ((select private.has_permission('manage:schedules')));
create policy "holders of manage:schedules change schedules" on public.class_schedules for update to authenticated
  using ((select private.has_permission('manage:schedules')));
create policy "holders of manage:schedules delete schedules" on public.class_schedules for delete to authenticated
  using ((select private.has_permission('manage:schedules')));

-- Classes: those one teaches; all for who may read everyone's calendar as well. Customers read my_classes. Which columns
-- an instructor may change is for a trigger to say, since a grant cannot tell whose row it is.
grant select, delete on public.class_assignments to authenticated, service_role;
grant insert (id, class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, time_zone, payment_amount, payment_type,
  schedule_type, booking_type, class_status, payment_status, instructor_status, notes, schedule_id, occurs_on, plan_id, rate)
  on public.class_assignments to authenticated;
grant update (class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, time_zone, payment_amount, payment_type,
  schedule_type, booking_type, class_status, payment_status, instructor_status, notes, schedule_id, occurs_on, plan_id, rate, version)
  on public.class_assignments to authenticated;
grant insert, update on public.class_assignments to service_role;
create policy "instructors see what they teach, planners everything" on public.class_assignments for select to authenticated
  using (
    (select private.has_permission('read:assignment'))
    and (instructor_id = (select private.current_profile_id()) or (select private.has_permission('read:calendar')))
  );
create policy "holders of create:assignment assign classes" on public.class_assignments for insert to authenticated
  with check ((select private.has_permission('create:assignment')));
create policy "instructors change what they teach, planners everything" on public.class_assignments for update to authenticated
  using (
    (select private.has_permission('update:assignment'))
    or instructor_id = (select private.current_profile_id()) and (select private.has_permission('update:own_assignment'))
  )
  with check (
    (select private.has_permission('update:assignment'))
    or instructor_id = (select private.current_profile_id()) and (select private.has_permission('update:own_assignment'))
  );
create policy "holders of delete:assignment delete classes" on public.class_assignments for delete to authenticated
  using ((select private.has_permission('delete:assignment')));

-- Links: with the class, or with one's own booking. Definers, because a policy that asked the tables themselves would
-- ask their policies in turn.
create function private.own_assignment_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select a.id from public.class_assignments a where a.instructor_id = private.current_profile_id();
end;
comment on function private.own_assignment_ids() is 'The classes the caller teaches.';

create function private.own_booking_ids() returns setof text
language sql stable security definer set search_path = ''
begin atomic
  select b.booking_id from public.bookings b where b.profile_id = private.current_profile_id() or b.user_id = private.caller_id();
end;
comment on function private.own_booking_ids() is 'The codes of the caller''s own bookings.';

grant execute on function private.own_assignment_ids(), private.own_booking_ids() to authenticated;

grant select on public.assignment_bookings to authenticated, service_role;
grant insert (assignment_id, booking_id), delete on public.assignment_bookings to authenticated;
grant insert, update, delete on public.assignment_bookings to service_role;
create policy "links are seen with the class or one's own booking" on public.assignment_bookings for select to authenticated
  using (
    (select private.has_permission('read:assignment')) and (select private.has_permission('read:calendar'))
    or assignment_id = any(array(select private.own_assignment_ids()))
    or booking_id = any(array(select private.own_booking_ids()))
  );
create policy "holders of update:assignment link bookings" on public.assignment_bookings for insert to authenticated
  with check ((select private.has_permission('update:assignment')));
create policy "holders of update:assignment unlink bookings" on public.assignment_bookings for delete to authenticated
  using ((select private.has_permission('update:assignment')));

-- Written by archive_assignments() only.
grant select on public.class_assignments_archive to authenticated, service_role;
create policy "instructors see what they taught, planners everything" on public.class_assignments_archive for select to authenticated
  using (
    (select private.has_permission('read:assignment'))
    and (instructor_id = (select private.current_profile_id()) or (select private.has_permission('read:calendar')))
  );

grant select on public.assignment_details, public.my_classes, private.customer_classes, public.class_participants, private.class_rosters
  to authenticated, service_role;

grant execute on function
  public.assignment_conflict_check(uuid, date, time, time, uuid), public.create_assignments(jsonb, jsonb, text),
  public.plan_assignments(text, uuid, uuid, uuid, uuid, integer[], time, time, date, date, integer, uuid, text, text, numeric, integer, text),
  public.update_assignment(uuid, integer, jsonb, text), public.respond_to_assignment(uuid, text, text, text),
  public.suggest_instructors(uuid), public.reassign(uuid[], uuid, text),
  public.bulk_assignment_operations(text, uuid[], jsonb, boolean, text), public.archive_assignments(date, integer, text),
  public.edit_repeating_class(text, jsonb, uuid, uuid, date, text)
  to authenticated, service_role;
grant execute on function
  private.json_value_error(text, jsonb), private.json_object_errors(jsonb, jsonb, text), private.json_list_errors(jsonb, jsonb, text),
  private.text_to_date(text), private.text_to_time(text),
  private.within(jsonb, text), private.is_uuid(text), private.draft_fields(), private.change_fields(),
  private.unknown_errors(uuid, uuid, uuid, uuid), private.unknown_in(jsonb, text),
  private.check_assignment_conflict(uuid, date, time, time, uuid), private.assignment_clashes(public.class_assignments[]),
  private.refuse_clashes(private.assignment_clash[], text[]), private.drafts_of(jsonb), private.drafts_errors(public.class_assignments[], text),
  private.association_errors(jsonb, text[]), private.plan_template(text, uuid, uuid, uuid, uuid, uuid, time, time, text, text, text),
  private.make_plan(text, public.class_assignments, integer[], date, date, integer, numeric, integer),
  private.apply_changes(uuid[], jsonb, integer, integer), private.candidates(uuid), private.refuse_bulk(uuid[], text), private.refuse_missing(uuid[], text),
  private.missing_assignments(uuid[]), private.lock_assignments(uuid[]), private.changed_clashes(uuid[], jsonb, integer), private.refuse_changed_clashes(uuid[], jsonb, integer),
  private.bulk_reasons(text, uuid[], jsonb, integer), private.change_many(text, uuid[], jsonb, integer),
  private.change_what_can_be(text, uuid[], jsonb, integer), private.archive_before(date, integer),
  private.edit_series(text, jsonb, uuid, uuid, date)
  to authenticated, service_role;
