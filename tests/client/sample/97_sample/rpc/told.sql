create function public.told(p_names text[]) returns jsonb
language sql stable set search_path = ''
return (
  select jsonb_object_agg(name, current_setting(name, true))
  from unnest(p_names || array['transaction_read_only', 'role']) as name
);
comment on function public.told is 'What the transaction was told about its request.';
