create function public.add_blindly(p_title text) returns public.sample_entries
language sql volatile set search_path = ''
begin atomic
  insert into public.sample_entries (title) values (p_title) returning *;
end;
comment on function public.add_blindly is 'Enters something, without a key that would tell a repeated call from a new one.';
