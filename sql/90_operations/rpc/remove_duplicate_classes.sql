create function public.remove_duplicate_classes(p_dry_run boolean default false, p_idempotency_key text default null)
returns table (check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint)
language plpgsql volatile set search_path = ''
as $$
begin
  -- Duplicates first: they are in the way of the keys, which this puts back as well.
  return query
    select f.check_name, f.faults, f.fixed, f.remaining, f.description, f.fix_id
    from public.apply_fixes(p_checks => array['classes_duplicated'], p_dry_run => p_dry_run, p_idempotency_key => p_idempotency_key) f;
  return query
    select f.check_name, f.faults, f.fixed, f.remaining, f.description, f.fix_id
    from public.apply_fixes(p_checks => array['class_keys_missing'], p_dry_run => p_dry_run, p_idempotency_key => p_idempotency_key || ' keys') f;
end;
$$;
comment on function public.remove_duplicate_classes(boolean, text) is
  'Removes classes that are there more than once, all but the oldest, to which attendance, payments and links of the others move, and puts keys of the table that were lost back. It is the repair of the checks classes_duplicated and class_keys_missing, and can be undone like every repair. Returns the first columns of what apply_fixes() returns, a row for each of the two. Needs apply:fixes.';
