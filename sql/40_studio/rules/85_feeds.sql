-- Calendar feeds: whose they are, who may read them, and that a revoked one stays revoked.

create function private.feed_token_hash(p_token text) returns text
language sql immutable set search_path = ''
return encode(sha256(convert_to(p_token, 'UTF8')), 'hex');
comment on function private.feed_token_hash(text) is 'What is kept of the secret of a feed.';

-- 244 random bits, from the generator that every Postgres has without an extension.
create function private.new_feed_token() returns text
language sql volatile set search_path = ''
return replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
comment on function private.new_feed_token() is 'A secret for the address of a feed.';

create function private.keep_feed() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
  if (new.id, new.resource_id, new.created_by, new.created_at) is distinct from (old.id, old.resource_id, old.created_by, old.created_at) then
    perform private.fail('illegal_transition', 'A feed stays what it was made for', 'resource_id',
      p_hint => 'Make another feed, and revoke this one.');
  end if;
  if old.revoked_at is not null and (new.token_hash, new.revoked_at) is distinct from (old.token_hash, old.revoked_at) then
    perform private.fail('illegal_transition', 'This feed was revoked', 'revoked_at', p_hint => 'Make another feed.');
  end if;
  return new;
end;
$$;
comment on function private.keep_feed() is
  'Row trigger: a feed shows what it was made for, in its maker''s name; once revoked it never gets an address again.';

create trigger t20_keep_feed before update on public.calendar_feeds
  for each row execute function private.keep_feed();

-- Like has_permission, for somebody who is not calling: a feed is read by a program that signs in as nobody. Roles that
-- only a token claims are unknown here.
create function private.login_may_read_calendar(p_user_id uuid) returns boolean
language sql stable security definer set search_path = ''
return coalesce(
    (
      select u.is_granted
      from public.user_permissions u
      where u.user_id = p_user_id and u.permission = 'read:calendar' and (u.expires_at is null or u.expires_at > private.now())
    ),
    exists (
      select
      from public.user_roles r
      join public.role_permissions g on g.role_name = r.role_name and g.permission = 'read:calendar' and g.is_granted
      where r.user_id = p_user_id
    )
  );
comment on function private.login_may_read_calendar(uuid) is 'Whether a login holds read:calendar, by role or by a grant of its own.';

-- Asked at every reading, so that an address ends with the rights of whoever made it, whoever wrote the row.
create function private.feed_is_open(p_feed public.calendar_feeds) returns boolean
language sql stable security definer set search_path = ''
return p_feed.revoked_at is null
  and (
    p_feed.created_by is null
    or not private.is_deactivated(p_feed.created_by)
      and (
        exists (select from public.user_profiles p where p.user_id = p_feed.created_by and p.id = p_feed.resource_id)
        or private.login_may_read_calendar(p_feed.created_by)
      )
  );
comment on function private.feed_is_open(public.calendar_feeds) is
  'Whether a feed is answered: not revoked, and its maker is active and may see what it shows: their own calendar, or everyone''s with read:calendar.';
