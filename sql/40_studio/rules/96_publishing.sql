-- What the studio tells the feed, and who may follow it: those who may read the rows.

create function private.may_follow_assignments(p_id text) returns boolean
language sql stable security definer set search_path = ''
return private.has_permission('read:assignment')
  and (private.has_permission('read:calendar') or coalesce(p_id = private.current_profile_id()::text, false));
comment on function private.may_follow_assignments(text) is 'Who may read the classes of an instructor, or with an empty id everybody''s.';

create function private.may_follow_bookings(p_id text) returns boolean
language sql stable security definer set search_path = ''
return private.has_permission('read:booking') or coalesce(p_id = private.current_profile_id()::text, false);
comment on function private.may_follow_bookings(text) is 'Who may read the bookings of a customer, or with an empty id everybody''s.';

create function private.may_follow_schedules(p_id text) returns boolean
language sql stable security definer set search_path = ''
return private.caller_id() is not null and p_id = '';
comment on function private.may_follow_schedules(text) is 'Who is signed in.';

select private.attach_publishing('public.class_assignments', 'changes_from_studio', 'assignment', 'assignments', 'instructor:instructor_id');
select private.attach_publishing('public.bookings', 'changes_from_studio', 'booking', 'bookings', 'customer:profile_id');
select private.attach_publishing('public.class_schedules', 'changes_from_studio', 'schedule', 'schedules');
