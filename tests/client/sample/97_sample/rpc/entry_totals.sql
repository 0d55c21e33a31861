create function public.entry_totals(p_above numeric, out entries bigint, out total public.sample_amount)
language sql stable set search_path = ''
begin atomic
  select count(*), coalesce(sum(e.amount), 0) from public.sample_entries e where e.amount > p_above;
end;
