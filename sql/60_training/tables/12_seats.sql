-- The seats themselves, and what keeps them for a while.

create table public.session_holds (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null references public.course_sessions (id) on delete cascade,
  user_id uuid references auth.users (id) on delete cascade default private.caller_id(),
  seats integer not null default 1,
  held_until timestamptz not null,
  released_at timestamptz,
  created_at timestamptz not null default private.now(),
  constraint session_holds_seats_belong_to unique (id, session_id),
  constraint seats_are_few check (seats between 1 and 1000),
  constraint held_until_is_finite check (isfinite(held_until))
);
create index session_holds_session on public.session_holds (session_id);
create index session_holds_user on public.session_holds (user_id, session_id);
create index session_holds_held_until on public.session_holds (held_until);
comment on table public.session_holds is 'Seats kept for somebody who is about to book, such as for a checkout; it is over when held_until has passed.';
comment on column public.session_holds.user_id is 'For whom: bookings this login makes, or is booked into, use these seats first. Null when a server holds them for nobody in particular.';
comment on column public.session_holds.held_until is 'Until when; left out, as long as the setting session_hold_minutes says.';
comment on column public.session_holds.released_at is 'When it was given back before its time.';

create table public.session_seats (
  session_id uuid not null references public.course_sessions (id) on delete cascade,
  seat_no integer not null,
  booking_id uuid,
  owner_live boolean,
  held_by uuid,
  held_until timestamptz,
  primary key (session_id, seat_no),
  constraint seat_no_is_counted_from_one check (seat_no between 1 and 10000),
  constraint owner_is_live_or_nobody check (owner_live),
  constraint taken_says_by_whom check ((booking_id is null) = (owner_live is null)),
  constraint held_says_for_whom_and_until_when check ((held_by is null) = (held_until is null)),
  constraint taken_is_not_held check (booking_id is null or held_by is null),
  constraint seat_belongs_to_a_live_booking_of_its_session foreign key (booking_id, session_id, owner_live)
    references public.session_bookings (id, session_id, is_live),
  constraint seat_is_held_by_a_hold_of_its_session foreign key (held_by, session_id) references public.session_holds (id, session_id)
);
create index session_seats_booking on public.session_seats (booking_id, session_id, owner_live) where booking_id is not null;
create index session_seats_held on public.session_seats (held_by, session_id) where held_by is not null;
create index session_seats_free on public.session_seats (session_id, seat_no) include (held_until) where booking_id is null;
comment on table public.session_seats is
  'The capacity itself: one row for each seat of each session, owned by one live booking or by nobody. Kept by triggers.';
comment on column public.session_seats.booking_id is 'The booking that owns it; null while it is free.';
comment on column public.session_seats.owner_live is
  'True when it is owned: with the booking and the session the key of the foreign key that lets only live bookings own seats.';
comment on column public.session_seats.held_by is 'The hold that keeps it; means nothing once held_until has passed.';
comment on column public.session_seats.held_until is 'Until when it is held.';
