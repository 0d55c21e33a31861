create function private.revoke_one_certificate(p_id uuid, p_reason text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_certificate public.certificates;
begin
  perform private.require_permission('revoke:certificates');
  perform private.fail_input(private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why it is revoked')
    || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters'));
  update public.certificates c set revoked_at = private.now(), revocation_reason = p_reason where c.id = p_id
  returning c.* into v_certificate;
  if not found then
    perform private.fail('not_found', 'There is no such certificate', 'p_id', jsonb_build_object('id', p_id));
  end if;
  return jsonb_build_object('certificate_id', v_certificate.id, 'serial', v_certificate.serial, 'revoked_at', v_certificate.revoked_at);
end;
$$;
comment on function private.revoke_one_certificate(uuid, text) is 'What public.revoke_certificate does, for a holder of revoke:certificates.';

create function public.revoke_certificate(p_id uuid, p_reason text, p_idempotency_key text default null)
returns table (certificate_id uuid, serial text, revoked_at timestamptz)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request constant jsonb := jsonb_build_object('id', p_id, 'reason', p_reason);
  v_answer jsonb := private.answered_before('revoke_certificate', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := private.revoke_one_certificate(p_id, p_reason);
    perform private.remember_answer('revoke_certificate', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select r.certificate_id, r.serial, r.revoked_at from jsonb_to_record(v_answer) as r(certificate_id uuid, serial text, revoked_at timestamptz);
end;
$$;
comment on function public.revoke_certificate(uuid, text, text) is
  'Revokes a certificate, with a reason; whoever verifies it is told that it is revoked, not why. Another one can be issued afterwards. Needs revoke:certificates. Raises invalid_input, illegal_transition for one that is revoked already, not_found.';
