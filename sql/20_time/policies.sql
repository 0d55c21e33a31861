-- Who may see and write what of time.
--
-- Claims and horizons are written by triggers alone, so nobody is granted to write them, not even service_role.
-- Overrides are made and ended through grant_override and revoke_override; only their reason and end may be patched.

alter table public.locations enable row level security;
alter table public.resources enable row level security;
alter table public.resource_horizons enable row level security;
alter table public.claims enable row level security;
alter table public.overrides enable row level security;
alter table public.override_members enable row level security;
alter table public.weekly_rules enable row level security;
alter table public.weekly_rule_resources enable row level security;
alter table public.weekly_rule_exceptions enable row level security;
alter table public.meetings enable row level security;
alter table public.meeting_participants enable row level security;

-- What one takes part in is one's own calendar; so is what one made, or a caller who may make a meeting but not read
-- everybody's could not be answered with it. Definers, because a policy that asked the tables themselves
-- would ask their policies in turn.
create function private.own_meeting_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select p.meeting_id from public.meeting_participants p where p.resource_id = private.current_profile_id();
end;
comment on function private.own_meeting_ids() is 'The meetings the caller takes part in.';

create function private.own_rule_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select p.rule_id from public.weekly_rule_resources p where p.resource_id = private.current_profile_id();
end;
comment on function private.own_rule_ids() is 'The weekly rules the caller takes part in.';

grant execute on function private.own_meeting_ids(), private.own_rule_ids() to authenticated;

grant select on public.locations to anon, authenticated, service_role;
grant insert (name, address, capacity, time_zone, is_active) on public.locations to authenticated;
grant update (name, address, capacity, time_zone, is_active, version) on public.locations to authenticated;
grant delete on public.locations to authenticated;
grant insert, update, delete on public.locations to service_role;
create policy "anyone sees places that are in use" on public.locations for select to anon
  using (is_active);
create policy "signed-in people see all places" on public.locations for select to authenticated
  using (true);
create policy "holders of manage:resources add places" on public.locations for insert to authenticated
  with check ((select private.has_permission('manage:resources')));
create policy "holders of manage:resources change places" on public.locations for update to authenticated
  using ((select private.has_permission('manage:resources')));
create policy "holders of manage:resources delete places" on public.locations for delete to authenticated
  using ((select private.has_permission('manage:resources')));

-- People and places get their resource from their profile or location; only equipment is written here.
grant select on public.resources to authenticated, service_role;
grant insert (kind, name, is_active) on public.resources to authenticated, service_role;
grant update (name, is_active, version) on public.resources to authenticated, service_role;
grant delete on public.resources to authenticated, service_role;
create policy "signed-in people see all resources" on public.resources for select to authenticated
  using (true);
create policy "holders of manage:resources add equipment" on public.resources for insert to authenticated
  with check (kind = 'equipment' and (select private.has_permission('manage:resources')));
create policy "holders of manage:resources change equipment" on public.resources for update to authenticated
  using (kind = 'equipment' and (select private.has_permission('manage:resources')));
create policy "holders of manage:resources delete equipment" on public.resources for delete to authenticated
  using (kind = 'equipment' and (select private.has_permission('manage:resources')));

grant select on public.resource_horizons to authenticated, service_role;
create policy "signed-in people see until when can be booked" on public.resource_horizons for select to authenticated
  using (true);

grant select on public.claims to authenticated, service_role;
create policy "people see their own claims, holders of read:calendar all" on public.claims for select to authenticated
  using ((select private.has_permission('read:calendar')) or resource_id = (select private.current_profile_id()));

grant select on public.overrides, public.override_members to authenticated, service_role;
grant update (reason, expires_at) on public.overrides to authenticated, service_role;
create policy "holders of read:calendar see overrides" on public.overrides for select to authenticated
  using ((select private.has_permission('read:calendar')));
create policy "holders of grant:override change reason and end" on public.overrides for update to authenticated
  using ((select private.has_permission('grant:override')));
create policy "holders of read:calendar see members of overrides" on public.override_members for select to authenticated
  using ((select private.has_permission('read:calendar')));

grant select on public.weekly_rules, public.weekly_rule_resources, public.weekly_rule_exceptions to authenticated, service_role;
grant insert (id, title, kind, weekday, start_time, end_time, time_zone, effective) on public.weekly_rules to authenticated;
grant update (title, kind, weekday, start_time, end_time, time_zone, effective, version) on public.weekly_rules to authenticated;
grant insert (rule_id, resource_id) on public.weekly_rule_resources to authenticated;
grant insert (rule_id, occurs_on, kind, moved_to_date, moved_start_time, moved_end_time, reason) on public.weekly_rule_exceptions to authenticated;
grant update (kind, moved_to_date, moved_start_time, moved_end_time, taken_by_table, taken_by_id, reason)
  on public.weekly_rule_exceptions to authenticated;
grant delete on public.weekly_rules, public.weekly_rule_resources, public.weekly_rule_exceptions to authenticated;
grant insert, update, delete on public.weekly_rules, public.weekly_rule_resources, public.weekly_rule_exceptions to service_role;
create policy "people see rules they are in or made, calendar readers all" on public.weekly_rules for select to authenticated
  using ((select private.has_permission('read:calendar')) or id = any(array(select private.own_rule_ids()))
    or created_by = (select private.caller_id()));
create policy "holders of create:calendar make rules" on public.weekly_rules for insert to authenticated
  with check ((select private.has_permission('create:calendar')));
create policy "holders of update:calendar change rules" on public.weekly_rules for update to authenticated
  using ((select private.has_permission('update:calendar')));
create policy "holders of delete:calendar delete rules" on public.weekly_rules for delete to authenticated
  using ((select private.has_permission('delete:calendar')));
create policy "people see who is in their rules, holders of read:calendar all" on public.weekly_rule_resources for select to authenticated
  using ((select private.has_permission('read:calendar')) or rule_id = any(array(select private.own_rule_ids())));
create policy "holders of create or update:calendar add to rules" on public.weekly_rule_resources for insert to authenticated
  with check ((select private.has_permission('create:calendar')) or (select private.has_permission('update:calendar')));
create policy "holders of update:calendar take out of rules" on public.weekly_rule_resources for delete to authenticated
  using ((select private.has_permission('update:calendar')));
create policy "people see exceptions to their rules or that they made" on public.weekly_rule_exceptions for select to authenticated
  using ((select private.has_permission('read:calendar')) or rule_id = any(array(select private.own_rule_ids()))
    or created_by = (select private.caller_id()));
create policy "holders of update:calendar make exceptions" on public.weekly_rule_exceptions for insert to authenticated
  with check (kind <> 'taken_over' and (select private.has_permission('update:calendar')));
create policy "holders of update:calendar change exceptions" on public.weekly_rule_exceptions for update to authenticated
  using ((select private.has_permission('update:calendar')))
  with check (kind <> 'taken_over' and (select private.has_permission('update:calendar')));
create policy "holders of update:calendar take exceptions back" on public.weekly_rule_exceptions for delete to authenticated
  using ((select private.has_permission('update:calendar')));

grant select on public.meetings, public.meeting_participants to authenticated, service_role;
grant insert (
  id, title, kind, date, start_time, end_time, ends_on, time_zone, status, course, section, external_ref, capacity, enrolled,
  rule_id, occurs_on, notes
) on public.meetings to authenticated;
grant update (
  title, kind, date, start_time, end_time, ends_on, time_zone, status, course, section, external_ref, capacity, enrolled,
  rule_id, occurs_on, notes, version
) on public.meetings to authenticated;
grant insert (meeting_id, resource_id) on public.meeting_participants to authenticated;
grant delete on public.meetings, public.meeting_participants to authenticated;
grant insert, update, delete on public.meetings, public.meeting_participants to service_role;
create policy "people see meetings they are in or made, calendar readers all" on public.meetings for select to authenticated
  using ((select private.has_permission('read:calendar')) or id = any(array(select private.own_meeting_ids()))
    or created_by = (select private.caller_id()));
create policy "holders of create:calendar make meetings" on public.meetings for insert to authenticated
  with check ((select private.has_permission('create:calendar')));
create policy "holders of update:calendar change meetings" on public.meetings for update to authenticated
  using ((select private.has_permission('update:calendar')));
create policy "holders of delete:calendar delete meetings" on public.meetings for delete to authenticated
  using ((select private.has_permission('delete:calendar')));
create policy "people see who is in their meetings, holders of read:calendar all" on public.meeting_participants for select to authenticated
  using ((select private.has_permission('read:calendar')) or meeting_id = any(array(select private.own_meeting_ids())));
create policy "holders of create or update:calendar add participants" on public.meeting_participants for insert to authenticated
  with check ((select private.has_permission('create:calendar')) or (select private.has_permission('update:calendar')));
create policy "holders of update:calendar take participants out" on public.meeting_participants for delete to authenticated
  using ((select private.has_permission('update:calendar')));

grant select on public.skipped_occurrences to authenticated, service_role;

-- anon asks nobody's time: what the public may know of free places comes with the modules that sell them.
grant execute on function public.find_conflicts(uuid[], timestamptz, timestamptz, uuid),
  public.find_weekly_conflicts(uuid[], integer, time, time, text, date, date, integer),
  public.calendar(timestamptz, timestamptz, uuid[], text[]), public.find_resources(text, text[], integer),
  public.schedule_meeting(text, date, time, time, uuid[], text, date, text, text, uuid, date, text),
  public.create_weekly_rule(text, uuid[], integer, time, time, text, date, date, text, text),
  public.extend_horizon(uuid[], timestamptz, text),
  public.grant_override(jsonb, text, timestamptz, text), public.revoke_override(uuid, text),
  public.cancel_occurrence(uuid, date, text, text), public.move_occurrence(uuid, date, date, time, time, text, text),
  public.restore_occurrence(uuid, date, text)
  to authenticated, service_role;
grant execute on function private.conflicts(uuid[], timestamptz, timestamptz, uuid),
  private.weekly_conflicts(uuid[], public.weekly_rules, integer),
  private.calendar_rows(timestamptz, timestamptz, uuid[], text[]),
  private.extend_horizon_of(uuid[], timestamptz),
  private.grant_override_to(jsonb, text, timestamptz), private.revoke_override_by_id(uuid),
  private.check_span(timestamptz, timestamptz, interval, text, text, uuid[]),
  private.require_resources(uuid[]), private.require_rule(uuid), private.happening_exists(text, uuid),
  private.take_over_for(uuid, uuid, date, uuid[]), private.occurrence_errors(uuid, date, text), private.meeting_errors(date, time, time, date, text, text)
  to authenticated, service_role;

-- Availability: hours, time off, cover and closures.
--
-- Time off is written through request_time_off, decide_time_off and cancel_time_off, because a decision has to say
-- what becomes of what the person is needed for; cover requests come with it, and only their status is patched.
alter table public.availability_rules enable row level security;
alter table public.time_off enable row level security;
alter table public.cover_requests enable row level security;
alter table public.closures enable row level security;

grant select on public.availability_rules to authenticated, service_role;
grant insert (resource_id, weekday, start_time, end_time, time_zone, effective) on public.availability_rules to authenticated, service_role;
grant update (weekday, start_time, end_time, time_zone, effective, version) on public.availability_rules to authenticated, service_role;
grant delete on public.availability_rules to authenticated, service_role;
create policy "signed-in people see who works when" on public.availability_rules for select to authenticated
  using (true);
create policy "people state their own hours, holders of manage:availability all" on public.availability_rules for insert to authenticated
  with check (resource_id = (select private.current_profile_id()) or (select private.has_permission('manage:availability')));
create policy "people change their own hours, holders of manage:availability all" on public.availability_rules for update to authenticated
  using (resource_id = (select private.current_profile_id()) or (select private.has_permission('manage:availability')));
create policy "people delete their own hours, holders of manage:availability all" on public.availability_rules for delete to authenticated
  using (resource_id = (select private.current_profile_id()) or (select private.has_permission('manage:availability')));

grant select on public.time_off, public.cover_requests to authenticated, service_role;
grant insert, update, delete on public.time_off to service_role;
grant update (status, version) on public.cover_requests to authenticated, service_role;
create policy "people see their own time off, holders of decide:time_off all" on public.time_off for select to authenticated
  using (resource_id = (select private.current_profile_id()) or (select private.has_permission('decide:time_off')));
create policy "people see cover sought for them, holders of decide:time_off all" on public.cover_requests for select to authenticated
  using (resource_id = (select private.current_profile_id()) or (select private.has_permission('decide:time_off')));
create policy "holders of decide:time_off settle cover requests" on public.cover_requests for update to authenticated
  using ((select private.has_permission('decide:time_off')));

grant select on public.closures to anon, authenticated, service_role;
grant insert (name, starts_on, ends_on, location_id) on public.closures to authenticated, service_role;
grant update (name, starts_on, ends_on, location_id, version) on public.closures to authenticated, service_role;
grant delete on public.closures to authenticated, service_role;
create policy "anyone sees closures" on public.closures for select to anon, authenticated
  using (true);
create policy "holders of manage:closures add closures" on public.closures for insert to authenticated
  with check ((select private.has_permission('manage:closures')));
create policy "holders of manage:closures change closures" on public.closures for update to authenticated
  using ((select private.has_permission('manage:closures')));
create policy "holders of manage:closures delete closures" on public.closures for delete to authenticated
  using ((select private.has_permission('manage:closures')));

grant execute on function
  public.free_slots(uuid[], timestamptz, timestamptz, interval, interval, boolean, integer),
  public.busy_times(uuid[], timestamptz, timestamptz),
  public.set_availability(uuid, jsonb, date, text),
  public.request_time_off(uuid, date, date, time, time, text, text, text),
  public.decide_time_off(uuid, text, text, text, text), public.cancel_time_off(uuid, text, text),
  public.add_closure(text, date, date, uuid, boolean, text)
  to authenticated, service_role;
grant execute on function
  private.slots(uuid[], tstzrange, interval, interval, boolean, text, integer),
  private.busy_ranges(uuid[], tstzrange), private.window_errors(uuid[], timestamptz, timestamptz), private.refuse_too_many(uuid[]),
  private.hours_errors(jsonb), private.replace_availability(uuid, jsonb, date),
  private.time_off_errors(date, date, time, time, text, text), private.add_time_off(uuid, date, date, time, time, text, text),
  private.time_off_answer(uuid), private.set_time_off_status(uuid, text, text, boolean),
  private.closure_errors(text, date, date, text), private.make_closure(text, date, date, uuid, boolean)
  to authenticated, service_role;

-- Importing meetings: the rest of it is called by private.import_rows, as its owner.
grant execute on function public.import_meetings(jsonb, text, text, boolean, text, text) to authenticated, service_role;
grant execute on function private.import_rows(jsonb, jsonb) to authenticated, service_role;
