create function public.titles() returns table (title text)
language sql stable set search_path = ''
begin atomic
  select e.title from public.sample_entries e order by 1;
end;
