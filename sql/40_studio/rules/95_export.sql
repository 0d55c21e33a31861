-- Exporting what the imports read: the same columns, all text, and names wherever a name means one thing only.

create view private.export_names with (security_invoker = true) as
select n.kind, n.id, case when count(*) over (partition by n.kind, lower(n.name)) = 1 and n.name = private.clean_text(n.name)
    and not private.is_uuid(n.name) and n.name not like '%@%' then n.name else n.id::text end as name
from (
  select 'person' as kind, d.id, d.full_name as name from private.directory d
  union all select 'class_type', t.id, t.name from public.class_types t
  union all select 'package', p.id, p.name from public.packages p
  union all select 'location', l.id, l.name from public.locations l
) n
where n.name is not null;
comment on view private.export_names is 'What to call people, class types, packages and locations in a file: by name where that means one of them only, else by id.';

create function private.instant_to_text(p_instant timestamptz) returns text
language sql immutable set search_path = ''
return to_char(p_instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
comment on function private.instant_to_text(timestamptz) is 'An instant as imports read it, in UTC.';

create function private.check_page(p_limit integer) returns void
language sql stable set search_path = ''
return private.fail_input(private.input_error(coalesce(p_limit, 0) not between 1 and 5000, 'p_limit', 'Ask for 1 to 5000 rows'));
comment on function private.check_page(integer) is 'Refuses a page that is none, or too long.';
