create function public.wait_for(p_seconds double precision) returns text
language sql volatile set search_path = ''
return 'waited' || pg_sleep(p_seconds)::text;
