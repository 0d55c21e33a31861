create function public.fail_some(p_failures integer, p_sqlstate text) returns bigint
language plpgsql volatile set search_path = ''
as $$
declare
  v_attempt bigint := nextval('public.sample_attempts');
begin
  if v_attempt <= p_failures then
    raise exception using errcode = p_sqlstate, message = format('attempt %s was made to fail', v_attempt);
  end if;
  return v_attempt;
end;
$$;
comment on function public.fail_some is 'Fails as often as it is asked to, then answers how often it was called.';
