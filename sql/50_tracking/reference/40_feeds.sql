-- What this module adds to calendar feeds.
insert into private.feed_sources (name, module) values ('class', '50_tracking')
on conflict (name) do update set module = excluded.module;
