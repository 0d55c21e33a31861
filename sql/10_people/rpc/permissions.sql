-- A computed column: /user_roles?select=*,permissions over REST.
create function public.permissions(public.user_roles) returns text[]
language sql stable set search_path = ''
begin atomic
  select array(
    select g.permission from public.role_permissions g where g.role_name = ($1).role_name and g.is_granted order by g.permission
  );
end;
comment on function public.permissions(public.user_roles) is 'Computed column of user_roles: the permissions this role gives, sorted.';
