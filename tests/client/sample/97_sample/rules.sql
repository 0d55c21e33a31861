create function private.sample_touch() returns trigger
language plpgsql set search_path = ''
as $$
begin
  return new;
end;
$$;

create function public.sample_trigger() returns trigger
language plpgsql set search_path = ''
as $$
begin
  return new;
end;
$$;

-- A computed column: PostgREST shows it as sample_entries.shouted.
create function public.shouted(public.sample_entries) returns text
language sql stable set search_path = ''
return upper($1.title);
