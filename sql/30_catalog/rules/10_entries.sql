-- What is offered: texts are tidied, and everything that makes no sense is named at once.

create function private.check_class_type() returns trigger
language plpgsql set search_path = ''
as $$
declare
  v_min constant integer := private.setting_integer('class_minutes_min');
  v_max constant integer := private.setting_integer('class_minutes_max');
  -- What was written under other settings stays as it is until somebody changes it.
  v_is_new_duration constant boolean := tg_op = 'INSERT' or new.duration_minutes is distinct from old.duration_minutes;
begin
  new.name := private.clean_text(new.name);
  new.description := private.clean_text(new.description);
  perform private.fail_input(
    private.input_error(new.name is null, 'name', 'Say what it is called')
    || private.input_error(length(new.name) > 200, 'name', 'A name has at most 200 characters')
    || private.input_error(length(new.description) > 1000, 'description', 'A description has at most 1000 characters')
    || private.input_error(coalesce(new.difficulty_level, '') not in ('beginner', 'intermediate', 'advanced'), 'difficulty_level',
      'A difficulty level is beginner, intermediate or advanced')
    || private.input_error(new.duration_minutes is null or v_is_new_duration and new.duration_minutes not between v_min and v_max,
      'duration_minutes', format('A class lasts between %s and %s minutes', v_min, v_max))
    || private.input_error(coalesce(new.max_participants, 0) not between 1 and 10000, 'max_participants',
      'Between 1 and 10000 people can take part')
  );
  return new;
end;
$$;
comment on function private.check_class_type() is
  'Row trigger: tidies texts and refuses what makes no sense, every field at once; a new duration lies within the settings.';

create trigger t10_keep_version before update on public.class_types
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.class_types
  for each row execute function private.check_class_type();

create function private.check_package() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.name := private.clean_text(new.name);
  new.description := private.clean_text(new.description);
  new.duration := private.clean_text(new.duration);
  new.type := private.clean_text(new.type);
  perform private.fail_input(
    private.input_error(new.name is null, 'name', 'Say what it is called')
    || private.input_error(length(new.name) > 200, 'name', 'A name has at most 200 characters')
    || private.input_error(length(new.description) > 1000, 'description', 'A description has at most 1000 characters')
    || private.input_error(length(new.duration) > 100, 'duration', 'A duration in words has at most 100 characters')
    || private.input_error(length(new.type) > 100, 'type', 'A type has at most 100 characters')
    || private.input_error(coalesce(not new.price between 0 and 9999999999.99, true), 'price', 'A price is not negative')
    || private.input_error(coalesce(new.class_count, 0) not between 1 and 1000, 'class_count', 'A package has 1 to 1000 classes')
    || private.input_error(coalesce(new.validity_days, 0) not between 1 and 3660, 'validity_days', 'A package is valid for 1 to 3660 days')
    || private.input_error(coalesce(new.course_type, '') not in ('regular', 'crash'), 'course_type', 'A course type is regular or crash')
    || private.input_error(coalesce(new.late_cancel_hours, -1) not between 0 and 744, 'late_cancel_hours',
      'Cancelling is late at most 744 hours before the start')
  );
  return new;
end;
$$;
comment on function private.check_package() is 'Row trigger: tidies texts and refuses what makes no sense, every field at once.';

create trigger t10_keep_version before update on public.packages
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.packages
  for each row execute function private.check_package();

create function private.check_course() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.code := private.clean_text(new.code);
  new.title := private.clean_text(new.title);
  new.description := private.clean_text(new.description);
  new.subject := private.clean_text(new.subject);
  perform private.fail_input(
    private.input_error(new.code is null, 'code', 'A course needs a code')
    || private.input_error(length(new.code) > 50, 'code', 'A code has at most 50 characters')
    || private.input_error(new.title is null, 'title', 'Say what it is called')
    || private.input_error(length(new.title) > 200, 'title', 'A title has at most 200 characters')
    || private.input_error(length(new.description) > 1000, 'description', 'A description has at most 1000 characters')
    || private.input_error(length(new.subject) > 200, 'subject', 'A subject has at most 200 characters')
    || private.input_error(coalesce(new.kind, '') not in ('tutoring', 'training', 'academic'), 'kind',
      'A kind is tutoring, training or academic')
    || private.input_error(new.duration_minutes not between 1 and 44640, 'duration_minutes', 'A session lasts between a minute and 31 days')
    || private.input_error(new.default_capacity not between 1 and 10000, 'default_capacity', 'Between 1 and 10000 people can take part')
    || private.input_error(not new.credits between 0 and 999.99, 'credits', 'Credits are not negative')
    || private.input_error(coalesce(not new.price between 0 and 9999999999.99, true), 'price', 'A price is not negative')
    || private.input_error(new.certificate_validity_days not between 1 and 36600, 'certificate_validity_days',
      'A certificate is valid for 1 to 36600 days, or for good')
  );
  return new;
end;
$$;
comment on function private.check_course() is 'Row trigger: tidies texts and refuses what makes no sense, every field at once.';

create trigger t10_keep_version before update on public.courses
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.courses
  for each row execute function private.check_course();
