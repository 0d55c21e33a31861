create function public.table_sizes() returns table (
  table_name text, row_estimate bigint, table_bytes bigint, index_bytes bigint, total_bytes bigint, bytes_before bigint, measured_on date
)
language sql stable set search_path = ''
begin atomic
  select * from private.sizes_for_caller();
end;
comment on function public.table_sizes() is
  'How large each table is, the largest first: rows as the last analyze or vacuum counted (null where none ran), bytes of the table and of its indexes, and what both were together (bytes_before) when they were last measured on an earlier day (measured_on), which the job take_size_reading does daily. Needs read:diagnostics.';
