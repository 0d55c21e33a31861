create function private.certify(p_session_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_session public.course_sessions;
  v_run_id uuid;
  v_issued uuid[];
begin
  perform private.require_permission('issue:certificates');
  select s.* into v_session from public.course_sessions s where s.id = p_session_id;
  if not found then
    perform private.fail('not_found', 'There is no such session', 'p_session_id', jsonb_build_object('id', p_session_id));
  end if;
  v_run_id := private.run_of_session(v_session);
  with made as (
    insert into public.certificates (booking_id)
    select b.id
    from public.session_bookings b
    join public.attendance a on a.booking_id = b.id and a.is_attended
    join private.run_standing(v_run_id) t on t.person_key = private.attendee_key(b)
    where b.session_id = p_session_id and t.attended >= t.required
      and not exists (select from public.certificates c where c.run_id = v_run_id and c.person_key = t.person_key and c.revoked_at is null)
    order by b.id
    on conflict do nothing
    returning id
  )
  select array_agg(m.id) into v_issued from made m;
  return coalesce((
    select jsonb_agg(jsonb_build_object('booking_id', b.id, 'holder_name', t.attendee_name, 'status',
        case when c.id = any(v_issued) then 'issued' when c.id is not null then 'had' else 'lacking' end,
        'certificate_id', c.id, 'serial', c.serial, 'verification_code', c.verification_code, 'attended', t.attended, 'required', t.required,
        'lacking', case when c.id is null then to_jsonb(t.lacking) else '[]' end) order by t.attendee_name, b.id)
    from public.session_bookings b
    join private.run_standing(v_run_id) t on t.person_key = private.attendee_key(b)
    left join public.certificates c on c.run_id = v_run_id and c.person_key = t.person_key and c.revoked_at is null
    where b.session_id = p_session_id and b.is_live
  ), '[]');
end;
$$;
comment on function private.certify(uuid) is 'What public.issue_certificates does, for a holder of issue:certificates.';

create function public.issue_certificates(p_session_id uuid, p_idempotency_key text default null)
returns table (
  booking_id uuid, holder_name text, status text, certificate_id uuid, serial text, verification_code text, attended integer, required integer, lacking date[]
)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request constant jsonb := jsonb_build_object('session_id', p_session_id);
  v_answer jsonb := private.answered_before('issue_certificates', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := private.certify(p_session_id);
    perform private.remember_answer('issue_certificates', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select r.booking_id, r.holder_name, r.status, r.certificate_id, r.serial, r.verification_code, r.attended, r.required, r.lacking
    from jsonb_to_recordset(v_answer) as r(booking_id uuid, holder_name text, status text, certificate_id uuid, serial text, verification_code text,
      attended integer, required integer, lacking date[]);
end;
$$;
comment on function public.issue_certificates(uuid, text) is
  'Issues certificates to everybody who attended this session and enough of those that go with it (the setting certificate_attendance_percent; the run of its series, or the session alone), and says how everybody else stands: status is issued, had (they have one already) or lacking (the dates are in lacking). Needs issue:certificates. Raises not_found.';
