create function private.check_paid_but_cancelled() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', a.id::text, format('%s was paid %s for the class on %s, which was cancelled', p.full_name, a.payment_amount, a.date),
    jsonb_build_object('instructor_id', a.instructor_id, 'payment_amount', a.payment_amount)
  from public.class_assignments a
  join public.user_profiles p on p.id = a.instructor_id
  where a.class_status = 'cancelled' and a.payment_status = 'paid';
end;
comment on function private.check_paid_but_cancelled() is 'Finds classes that were paid for and then cancelled. A person decides whether money comes back.';
