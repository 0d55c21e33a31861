-- The topics of students' classes in the change feed.

insert into private.feed_topics (prefix, module, description, may_read) values
  ('classes', '50_tracking', 'Every class of a student.', 'private.may_follow_classes'),
  ('teacher', '50_tracking', 'The classes of one teacher''s students, by the teacher''s profile.', 'private.may_follow_classes'),
  ('student', '50_tracking', 'The classes of one student.', 'private.may_follow_student')
on conflict (prefix) do update set
  module = excluded.module, description = excluded.description, may_read = excluded.may_read, is_public = excluded.is_public;

insert into public.settings (key, module, kind, default_value, description) values
  ('changes_from_tracking', '50_tracking', 'boolean', 'true', 'Whether changes of students'' classes go to the change feed.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.description);
