create function public.current_bookings(p_session public.course_sessions) returns integer
language sql stable set search_path = ''
return private.seats_taken(p_session.id);
comment on function public.current_bookings(public.course_sessions) is 'How many seats of a session are booked; over REST a column of course_sessions: select=*,current_bookings.';
