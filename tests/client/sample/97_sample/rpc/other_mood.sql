create function public.other_mood(p_mood public.sample_mood) returns public.sample_mood
language sql immutable set search_path = ''
return case p_mood when 'calm' then 'busy'::public.sample_mood else 'calm' end;
