create function public.access_overview() returns table (
  table_name text, is_protected boolean, policies integer, commands text[], granted_to text[]
)
language sql stable set search_path = ''
begin atomic
  select * from private.access_for_caller();
end;
comment on function public.access_overview() is
  'Of each table of the API: whether row level security is on (is_protected), how many policies it has and for which commands, and to which of anon and authenticated anything of it is granted. A table that is granted and not protected is open to everybody. Needs read:diagnostics.';
