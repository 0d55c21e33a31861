create function public.seats_left(p_session public.course_sessions) returns integer
language sql stable set search_path = ''
return private.seats_free(p_session.id);
comment on function public.seats_left(public.course_sessions) is 'How many seats of a session nobody owns or holds; over REST a column of course_sessions: select=*,seats_left.';
