create function private.course_standing(p_course_id uuid) returns table (
  run_id uuid, profile_id uuid, attendee_name text, sessions integer, attended integer, required integer, is_eligible boolean, lacking date[],
  certificate_id uuid, serial text, expires_at timestamptz
)
language plpgsql stable security definer set search_path = ''
as $$
begin
  if private.caller_id() is null and not private.is_trusted() then
    perform private.fail('forbidden', 'Sign in to see how you stand');
  end if;
  if not exists (select from public.courses c where c.id = p_course_id) then
    perform private.fail('not_found', 'There is no such course', 'p_course_id', jsonb_build_object('id', p_course_id));
  end if;
  return query
    select r.run_id, t.profile_id, t.attendee_name, t.sessions, t.attended, t.required, t.attended >= t.required, t.lacking, c.id, c.serial, c.expires_at
    from (
      select distinct private.run_of_session(s) as run_id from public.course_sessions s where s.course_id = p_course_id
    ) r
    cross join lateral private.run_standing(r.run_id) t
    left join public.certificates c on c.run_id = r.run_id and c.person_key = t.person_key and c.revoked_at is null
    where private.has_permission('issue:certificates') or t.profile_id = private.current_profile_id()
    order by t.attendee_name, r.run_id;
end;
$$;
comment on function private.course_standing(uuid) is 'What public.certificate_eligibility does: everybody for holders of issue:certificates, else the caller alone.';

create function public.certificate_eligibility(p_course_id uuid) returns table (
  run_id uuid, profile_id uuid, attendee_name text, sessions integer, attended integer, required integer, is_eligible boolean, lacking date[],
  certificate_id uuid, serial text, expires_at timestamptz
)
language sql stable set search_path = ''
begin atomic
  select * from private.course_standing(p_course_id);
end;
comment on function public.certificate_eligibility(uuid) is
  'Who has what and lacks what for a certificate of a course: a row for each person and run (a series, or a session by itself), with the sessions there are, were attended and have to be, the dates that lack, and the certificate where there is one. Holders of issue:certificates see everybody, others themselves. Raises not_found, forbidden for nobody signed in.';
