create function private.check_credits_used_wrongly() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'credit_entries', e.purchase_id || ' ' || e.entry_no,
    case
      when e.occurs_on not between p.purchased_on and p.expires_on
        then format('A credit was used for %s, and the package is good from %s to %s', e.occurs_on, p.purchased_on, p.expires_on)
      when private.is_paused_on(p.id, e.occurs_on) then format('A credit was used for %s, during a pause', e.occurs_on)
      else format('A second credit was used for %s %s', e.source_table, e.source_id)
    end,
    jsonb_build_object('profile_id', p.profile_id, 'source_table', e.source_table, 'source_id', e.source_id)
  from public.credit_entries e
  join public.package_purchases p on p.id = e.purchase_id
  where e.kind = 'used' and not exists (
      select from public.credit_entries r where r.purchase_id = e.purchase_id and r.used_entry_no = e.entry_no and r.kind = 'returned'
    ) and (
      e.occurs_on not between p.purchased_on and p.expires_on
      -- A pause takes nothing back that was booked before it.
      or exists (
        select from public.credit_entries r
        where r.purchase_id = e.purchase_id and r.kind = 'resumed' and r.entry_no < e.entry_no
          and e.occurs_on >= r.occurs_on - r.extends_days and e.occurs_on < r.occurs_on
      )
      or exists (
        select from public.credit_entries o
        where o.source_id = e.source_id and o.source_table = e.source_table and o.kind = 'used' and o.use_no < e.use_no
          and not exists (
            select from public.credit_entries r where r.purchase_id = o.purchase_id and r.used_entry_no = o.entry_no and r.kind = 'returned'
          )
      )
    );
end;
comment on function private.check_credits_used_wrongly() is
  'Finds credits used outside their package''s dates, during a pause, or twice for one thing. A person decides what becomes of them.';
