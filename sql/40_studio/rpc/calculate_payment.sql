create function public.calculate_payment(
  p_payment_type text,
  p_rate numeric,
  p_class_count integer default 1,
  p_student_count integer default null,
  p_minutes integer default null,
  p_months integer default null
) returns table (total_amount numeric, class_amounts numeric[])
language sql immutable parallel safe set search_path = ''
begin atomic
  select (select sum(u.amount) from unnest(a.amounts) as u(amount)), a.amounts
  from (select private.class_amounts(p_payment_type, p_rate, p_class_count, p_student_count, p_minutes, p_months) as amounts) a;
end;
comment on function public.calculate_payment(text, numeric, integer, integer, integer, integer) is
  'What a rate buys for p_class_count classes: the total, and each class''s part of it, in exact decimals, rounded half up to the cent. Parts add up to the total and differ by a cent at most; the earlier classes get the cents left over. By p_payment_type: per_class, a class (50.00, 3 classes: 50.00 each, 150.00); per_class_total, a class too, quoted for the whole plan and split (16.665, 2 classes: 33.33 as 16.67 and 16.66); total_duration, the whole plan whatever its number of classes (100.00, 3 classes: 33.34, 33.33, 33.33); monthly, a calendar month, of which p_months (1 by default) are split (100.00, 2 months, 8 classes: 25.00 each, 200.00); per_member, one participant for the whole plan, times p_student_count (40.00, 5 participants, 3 classes: 200.00 as 66.67, 66.67, 66.66); per_student_per_class, one student in one class (10.00, 4 students, 2 classes: 40.00 each, 80.00). What a type does not need is ignored; p_minutes, how long the plan lasts, changes no amount. Pure: reads and writes nothing. Raises invalid_input naming every field: an unknown type, a rate or needed student count not above zero, fewer than 1 or more than 1000 classes.';
