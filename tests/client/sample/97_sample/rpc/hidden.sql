create function public.hidden() returns text
language sql immutable set search_path = ''
return 'nobody may call this';
