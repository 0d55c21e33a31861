-- What people see of each other's contact data without read:contact.

create function private.mask_email(p_email text) returns text
language sql immutable set search_path = ''
return case
    when p_email is null then null
    when p_email !~ '^[^@]+@[^@.]+.*\.[^.@]+$' then '***'
    else left(p_email, 1) || '***@' || left(split_part(p_email, '@', 2), 1) || '***.' || substring(p_email from '[^.@]+$')
  end;
comment on function private.mask_email(text) is 'An address without what identifies it: anna@demo.com becomes a***@d***.com.';

-- Short numbers would show most of themselves, so they show less.
create function private.mask_phone(p_phone text) returns text
language sql immutable set search_path = ''
return case
    when p_phone is null then null
    when length(p_phone) >= 11 then left(p_phone, 3) || '******' || right(p_phone, 3)
    else left(p_phone, 2) || '******'
  end;
comment on function private.mask_phone(text) is 'A number without what identifies it: +919876543210 becomes +91******210.';
