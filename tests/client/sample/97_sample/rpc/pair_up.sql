create function public.pair_up(p_label text, p_entry public.sample_entries, p_moods public.sample_mood[] default '{calm}')
returns public.sample_pair
language sql immutable set search_path = ''
return (p_label, p_entry, p_moods)::public.sample_pair;
