create function private.check_class_keys_missing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'classes', k.name, format('classes has lost %s: a class could be there twice', k.name), jsonb_build_object('constraint', k.name)
  from private.lost_class_keys() k;
end;
comment on function private.check_class_keys_missing() is 'Finds the keys of classes that are gone or do not hold.';

create function private.fix_class_keys_missing(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.restore_class_keys();
comment on function private.fix_class_keys_missing(text[]) is 'Puts the lost keys back, where no duplicate is in the way.';
