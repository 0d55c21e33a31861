-- Who may see and change what is offered. The public sees what is active, whoever signed in everything, holders of
-- manage:catalog change it.

alter table public.class_types enable row level security;
alter table public.packages enable row level security;
alter table public.courses enable row level security;
alter table public.course_prerequisites enable row level security;

grant select on public.class_types, public.packages, public.courses, public.course_prerequisites to anon, authenticated, service_role;
grant insert, update, delete on public.class_types, public.packages, public.courses, public.course_prerequisites to service_role;

grant insert (name, description, difficulty_level, duration_minutes, max_participants, is_active) on public.class_types to authenticated;
grant update (name, description, difficulty_level, duration_minutes, max_participants, is_active, version) on public.class_types to authenticated;
grant delete on public.class_types to authenticated;
create policy "anyone sees class types that are offered" on public.class_types for select to anon
  using (is_active);
create policy "signed-in people see all class types" on public.class_types for select to authenticated
  using (true);
create policy "holders of manage:catalog add class types" on public.class_types for insert to authenticated
  with check ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog change class types" on public.class_types for update to authenticated
  using ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog delete class types" on public.class_types for delete to authenticated
  using ((select private.has_permission('manage:catalog')));

grant insert (name, description, price, class_count, validity_days, duration, course_type, type, is_active, late_cancel_hours)
  on public.packages to authenticated;
grant update (name, description, price, class_count, validity_days, duration, course_type, type, is_active, late_cancel_hours, version)
  on public.packages to authenticated;
grant delete on public.packages to authenticated;
create policy "anyone sees packages that are sold" on public.packages for select to anon
  using (is_active);
create policy "signed-in people see all packages" on public.packages for select to authenticated
  using (true);
create policy "holders of manage:catalog add packages" on public.packages for insert to authenticated
  with check ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog change packages" on public.packages for update to authenticated
  using ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog delete packages" on public.packages for delete to authenticated
  using ((select private.has_permission('manage:catalog')));

grant insert (
  code, title, description, subject, kind, duration_minutes, default_capacity, credits, price, certificate_validity_days, is_active,
  is_repeatable
) on public.courses to authenticated;
grant update (
  code, title, description, subject, kind, duration_minutes, default_capacity, credits, price, certificate_validity_days, is_active,
  is_repeatable, version
) on public.courses to authenticated;
grant delete on public.courses to authenticated;
create policy "anyone sees courses that are offered" on public.courses for select to anon
  using (is_active);
create policy "signed-in people see all courses" on public.courses for select to authenticated
  using (true);
create policy "holders of manage:catalog add courses" on public.courses for insert to authenticated
  with check ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog change courses" on public.courses for update to authenticated
  using ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog delete courses" on public.courses for delete to authenticated
  using ((select private.has_permission('manage:catalog')));

-- A requirement is added or taken back; there is nothing in it to change.
grant insert (course_id, "group", required_course_id) on public.course_prerequisites to authenticated;
grant delete on public.course_prerequisites to authenticated;
create policy "anyone sees what the offered courses require" on public.course_prerequisites for select to anon
  using (course_id = any(array(select c.id from public.courses c)));
create policy "signed-in people see what all courses require" on public.course_prerequisites for select to authenticated
  using (true);
create policy "holders of manage:catalog add requirements" on public.course_prerequisites for insert to authenticated
  with check ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog take requirements back" on public.course_prerequisites for delete to authenticated
  using ((select private.has_permission('manage:catalog')));
