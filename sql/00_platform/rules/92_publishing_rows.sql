-- What modules tell the feed about their rows: that they changed, and nothing of what is in them.

create function private.publish_rows() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if not private.setting_boolean(tg_argv[0]) then
    return null;
  end if;
  -- Each topic's rows; whom a row was taken from hears of it as well. One pass over the rows, since this is planned anew
  -- each time; written as JSON are only those that are listed.
  execute format(
    'insert into public.changes (topic, event, payload)
     select t.topic, %L, case
         when t.count > 50 then jsonb_build_object(''count'', t.count)
         else jsonb_build_object(''rows'', (
           select jsonb_agg(jsonb_build_object(''id'', i.id, ''version'', i.version) order by i.id) from unnest(t.ids, t.versions) i(id, version)
         ))
       end
     from (
       select e.topic, count(*) as count, array_agg(r.id) as ids, array_agg(r.version) as versions
       from %s
       cross join lateral (values %s) e(topic)
       where e.topic is not null
       group by e.topic
     ) t
     order by t.topic',
    tg_argv[1] || case tg_op when 'INSERT' then '-created' when 'UPDATE' then '-updated' else '-deleted' end,
    case tg_op when 'INSERT' then 'new_rows r' when 'DELETE' then 'old_rows r' else 'new_rows r join old_rows o on o.id = r.id and o.version <> r.version' end,
    (
      select string_agg(
          case
            when t.prefix = t.topic then format('(%L)', t.topic)
            when tg_op = 'UPDATE' then format('(%1$L || r.%2$I), (case when o.%2$I is distinct from r.%2$I then %1$L || o.%2$I end)', t.prefix || ':', t.name)
            else format('(%L || r.%I)', t.prefix || ':', t.name)
          end, ', ')
      from (select a.topic, split_part(a.topic, ':', 1) as prefix, split_part(a.topic, ':', 2) as name from unnest(tg_argv[2:]) a(topic)) t
    )
  );
  return null;
end;
$$;
comment on function private.publish_rows() is
  'Statement trigger: publishes which rows came, changed or went, one change a topic. Its arguments: the setting that switches it off, what a row is called, and the topics (prefix, or prefix:column).';

create function private.attach_publishing(p_table regclass, p_setting text, p_noun text, variadic p_topics text[]) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  execute format('create or replace trigger t95_publish_insert after insert on %s referencing new table as new_rows
    for each statement execute function private.publish_rows(%s)',
    p_table, (select string_agg(quote_literal(a.a), ', ' order by a.position) from unnest(array[p_setting, p_noun] || p_topics) with ordinality a(a, position)));
  execute format('create or replace trigger t95_publish_update after update on %s referencing old table as old_rows new table as new_rows
    for each statement execute function private.publish_rows(%s)',
    p_table, (select string_agg(quote_literal(a.a), ', ' order by a.position) from unnest(array[p_setting, p_noun] || p_topics) with ordinality a(a, position)));
  execute format('create or replace trigger t95_publish_delete after delete on %s referencing old table as old_rows
    for each statement execute function private.publish_rows(%s)',
    p_table, (select string_agg(quote_literal(a.a), ', ' order by a.position) from unnest(array[p_setting, p_noun] || p_topics) with ordinality a(a, position)));
end;
$$;
comment on function private.attach_publishing(regclass, text, text, text[]) is
  'Lets a table with id and version tell the feed about its rows: the setting that switches it off, what a row is called, its topics (prefix, or prefix:column).';
