create function public.release_seats(p_session_id uuid) returns integer
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.fail_input(private.input_error(p_session_id is null, 'p_session_id', 'Say which session'));
  return private.release_of_caller(p_session_id);
end;
$$;
comment on function public.release_seats(uuid) is
  'Gives back what the caller holds of a session, before its time. Returns how many seats the holds were for; 0 where there was none.';
