create function public.changes_since(p_cursor text default null, p_topics text[] default null, p_limit integer default 200)
returns table (cursor text, more boolean, id bigint, topic text, event text, payload jsonb, created_at timestamptz)
language sql stable set search_path = ''
begin atomic
  select c.cursor, c.more, c.id, c.topic, c.event, c.payload, c.created_at
  from private.read_changes(p_cursor, p_topics, coalesce(p_limit, 200)) c;
end;
comment on function public.changes_since(text, text[], integer) is
  'What was published since a cursor in these topics, in order, none skipped and none twice: each row carries the cursor after it, and `more` says whether further ones wait. Where there is nothing new, one row with a cursor and no change. No cursor: from now on. cursor_expired means start again.';
