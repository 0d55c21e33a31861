create function public.echo_arrays(
  p_ids uuid[],
  p_instants timestamptz[],
  p_amounts numeric[],
  p_words text[],
  p_lengths interval[],
  p_entries public.sample_entries[] default null
) returns table (
  ids uuid[],
  instants timestamptz[],
  amounts numeric[],
  words text[],
  lengths interval[],
  entries public.sample_entries[]
)
language sql immutable set search_path = ''
begin atomic
  select p_ids, p_instants, p_amounts, p_words, p_lengths, p_entries;
end;
