create function public.far_future() returns timestamptz
language sql immutable set search_path = ''
return timestamptz '294276-01-01 00:00:00+00';
