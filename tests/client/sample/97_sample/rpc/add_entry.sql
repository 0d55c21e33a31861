create function public.add_entry(
  p_title text,
  p_amount numeric default 1.50,
  p_during tstzrange default null,
  p_idempotency_key text default null
) returns public.sample_entries
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('title', p_title, 'amount', p_amount, 'during', p_during);
  v_answer jsonb := private.answered_before('add_entry', p_idempotency_key, v_request);
  v_entry public.sample_entries;
begin
  if v_answer is not null then
    return jsonb_populate_record(null::public.sample_entries, v_answer);
  end if;
  insert into public.sample_entries (title, amount, during) values (p_title, p_amount, p_during) returning * into v_entry;
  perform private.remember_answer('add_entry', p_idempotency_key, v_request, to_jsonb(v_entry));
  return v_entry;
end;
$$;
comment on function public.add_entry is 'Enters something. Raises duplicate.';
