create function public.greet(p_words text default E'it''s "so"\\', p_times integer default 2) returns text
language sql immutable set search_path = ''
return coalesce(repeat(p_words, p_times), 'nothing to say');
