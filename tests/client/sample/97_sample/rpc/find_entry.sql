create function public.find_entry(p_id uuid) returns public.sample_entries
language sql stable set search_path = ''
begin atomic
  select e.* from public.sample_entries e where e.id = p_id;
end;
