create function public.forget_entries() returns void
language sql volatile set search_path = ''
begin atomic
  delete from public.sample_entries where true;
end;
