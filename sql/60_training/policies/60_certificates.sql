alter table public.attendance enable row level security;
alter table public.certificates enable row level security;

-- Marked through mark_attendance(), which knows whose session it is.
grant select on public.attendance to authenticated, service_role;
grant insert, update, delete on public.attendance to service_role;
create policy "people see their marks, instructors their sessions', holders of mark:attendance all" on public.attendance
  for select to authenticated
  using (
    user_id = (select private.caller_id()) or (select private.has_permission('mark:attendance'))
    or session_id = any(array(select private.taught_session_ids()))
  );

-- Issued and revoked through functions; verified by anyone, one at a time, by its code.
grant select on public.certificates to authenticated, service_role;
grant insert (booking_id), update (revoked_at, revocation_reason) on public.certificates to service_role;
create policy "people see their certificates, holders of issue:certificates all" on public.certificates for select to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('issue:certificates')));

grant execute on function public.verify_certificate(text), private.verified_certificate(text) to anon, authenticated, service_role;
grant execute on function
  public.mark_attendance(uuid, jsonb, text), public.issue_certificates(uuid, text), public.revoke_certificate(uuid, text, text),
  public.certificate_eligibility(uuid), private.mark_register(uuid, jsonb), private.certify(uuid), private.revoke_one_certificate(uuid, text),
  private.course_standing(uuid)
  to authenticated, service_role;

grant execute on function
  public.search_sessions(uuid, uuid, uuid, date, date, integer[], time, time, integer, numeric, text[], text, text, integer, integer),
  private.found_sessions(uuid, uuid, uuid, date, date, integer[], time, time, integer, numeric, text[], text, text, integer, integer)
  to anon, authenticated, service_role;
