-- Everyone's names, with contact data for those who need it.
--
-- user_profiles shows most callers only their own row, so the directory needs the owner's rights to list the others.
-- They stay in private, in a view that can hand out nothing but masked columns; what the API exposes runs with the
-- caller's rights, like every view in public. A view rather than a function, and no security barrier, so that filters
-- and limits use the indexes; there is nothing to hide from a filter, which sees the masked columns like everyone else.
create view private.directory as
select
  p.id,
  p.full_name,
  case when (select private.has_permission('read:contact')) or p.user_id = (select private.caller_id()) then p.email else private.mask_email(p.email) end as email,
  case when (select private.has_permission('read:contact')) or p.user_id = (select private.caller_id()) then p.phone else private.mask_phone(p.phone) end as phone,
  p.time_zone,
  p.is_active
from public.user_profiles p
where p.erased_at is null;
comment on view private.directory is 'Everyone who was not erased, contact data masked for those who may not read it; read through public.people_directory.';

create view public.people_directory with (security_invoker = true) as
select d.id, d.full_name, d.email, d.phone, d.time_zone, d.is_active
from private.directory d;
comment on view public.people_directory is
  'Everyone''s name for anyone signed in. Emails and phones are masked (a***@d***.com, +91******210) unless the row is the caller''s own or the caller holds read:contact.';
comment on column public.people_directory.email is 'In full for oneself and for holders of read:contact, masked for others.';
comment on column public.people_directory.phone is 'In full for oneself and for holders of read:contact, masked for others.';
comment on column public.people_directory.is_active is 'False for somebody who left.';
