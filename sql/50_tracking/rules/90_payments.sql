-- A class that is paid for is paid; one whose money was given back is not.

create function private.settle_classes(p_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  update public.classes c
  set payment_status = case when w.is_paid then 'paid' else 'pending' end
  from (
    select k.id, k.price > 0 and p.paid >= k.price as is_paid
    from public.classes k
    cross join lateral (
      select coalesce((
          select sum(i.amount) from public.payment_items i
          join public.payments m on m.id = i.payment_id and m.status = 'succeeded'
          where i.source_table = 'classes' and i.source_id = k.id
        ), 0) - coalesce((
          select sum(r.amount) from public.refund_items r where r.source_table = 'classes' and r.source_id = k.id
        ), 0) as paid
    ) p
    where k.id = any(p_ids) and k.payment_status <> 'waived' and k.status <> 'rescheduled'
    order by k.id
    for no key update of k
  ) w
  where c.id = w.id and c.payment_status <> case when w.is_paid then 'paid' else 'pending' end;
end;
comment on function private.settle_classes(uuid[]) is 'Makes classes paid or pending, as payments and refunds say; what was waived stays so.';

create function private.follow_class_payments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[] := (select array_agg(distinct n.source_id) from new_rows n where n.source_table = 'classes');
begin
  if v_ids is not null then
    perform private.settle_classes(v_ids);
  end if;
  return null;
end;
$$;
comment on function private.follow_class_payments() is 'Statement trigger on the lines of payments and refunds: classes become paid, or pending again.';

create trigger t70_follow_class_payments after insert on public.payment_items
  referencing new table as new_rows for each statement execute function private.follow_class_payments();
create trigger t70_follow_class_payments after insert on public.refund_items
  referencing new table as new_rows for each statement execute function private.follow_class_payments();
