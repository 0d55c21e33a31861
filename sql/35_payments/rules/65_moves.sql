-- When two rows turn out to be one, what was paid for either was paid for the one that stays. Such moves are on record,
-- and change for which row a line of the books is, never how much was received or given back.

create table private.payment_moves (
  id bigint generated always as identity primary key,
  source_table text not null,
  from_id uuid not null,
  to_id uuid not null,
  moved_by text not null default private.calling(),
  moved_at timestamptz not null default private.now(),
  constraint moves_to_another_row check (from_id <> to_id)
);
comment on table private.payment_moves is 'Every time payments were moved from a row to the one it was a duplicate of: which, by whom, when.';
comment on column private.payment_moves.from_id is 'The row that was paid for and goes.';
comment on column private.payment_moves.to_id is 'The row that stays.';

create function private.move_payments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform from public.payments p
  where p.id in (select i.payment_id from public.payment_items i where i.source_table = new.source_table and i.source_id = new.from_id)
  order by p.id
  for no key update;
  -- One payment that paid for both has one line for them from now on.
  update public.payment_items k set amount = k.amount + i.amount
  from public.payment_items i
  where i.source_table = new.source_table and i.source_id = new.from_id
    and k.payment_id = i.payment_id and k.source_table = new.source_table and k.source_id = new.to_id;
  update public.refund_items k set amount = k.amount + r.amount
  from public.refund_items r
  where r.source_table = new.source_table and r.source_id = new.from_id
    and k.refund_id = r.refund_id and k.source_table = new.source_table and k.source_id = new.to_id;
  delete from public.refund_items r
  using public.refund_items k
  where r.source_table = new.source_table and r.source_id = new.from_id
    and k.refund_id = r.refund_id and k.source_table = new.source_table and k.source_id = new.to_id;
  update public.refund_items r set source_id = new.to_id
  from public.payment_items k
  where r.source_table = new.source_table and r.source_id = new.from_id
    and k.payment_id = r.payment_id and k.source_table = new.source_table and k.source_id = new.to_id;
  delete from public.payment_items i
  using public.payment_items k
  where i.source_table = new.source_table and i.source_id = new.from_id
    and k.payment_id = i.payment_id and k.source_table = new.source_table and k.source_id = new.to_id;
  update public.payment_items i set source_id = new.to_id
  where i.source_table = new.source_table and i.source_id = new.from_id;
  return null;
end;
$$;
comment on function private.move_payments() is 'Row trigger on payment_moves: the lines of payments and refunds for one row become lines for the other.';

create trigger t50_move after insert on private.payment_moves
  for each row execute function private.move_payments();
