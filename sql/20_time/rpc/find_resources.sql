create function public.find_resources(p_name text default null, p_kinds text[] default null, p_limit integer default 50)
returns setof public.resources
language plpgsql stable set search_path = ''
as $$
declare
  v_name text := lower(private.clean_text(p_name));
begin
  perform private.fail_input(
    private.input_error(length(p_name) > 200, 'p_name', 'A name has at most 200 characters')
    || private.input_error(not p_kinds <@ array['person', 'place', 'equipment'], 'p_kinds', 'A kind is person, place or equipment')
    || private.input_error(coalesce(p_limit, 0) not between 1 and 1000, 'p_limit', 'Ask for 1 to 1000 rows')
  );
  return query
    select r.*
    from public.resources r
    where (v_name is null or strpos(lower(r.name), v_name) > 0)
      and (p_kinds is null or r.kind = any(p_kinds))
    order by lower(r.name) <> v_name, strpos(lower(r.name), v_name), r.is_active desc, r.name, r.id
    limit p_limit;
end;
$$;
comment on function public.find_resources(text, text[], integer) is
  'People, places and equipment whose name holds p_name, whatever the case (all by default): those called exactly so first, then those that begin with it. p_kinds narrows to person, place, equipment; at most p_limit rows.';
