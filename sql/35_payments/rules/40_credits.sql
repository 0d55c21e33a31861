-- The ledger of credits. Whoever writes an entry says of which purchase, what kind, and for what; numbers and balances
-- are filled in here, under the purchase's lock. The table's keys say the same declaratively: an entry refers to the
-- balance before it, which only one entry can follow.

-- Somebody may have many lots, and a transaction that gives back a credit of one may use one of another next. Were lots
-- all that is locked, two such transactions would wait for each other; so whoever changes a person's credits locks the
-- person first, and then the lots. It is no lock on the profile's row, which others take before they ask for credits.
create function private.lock_credits_of(p_profile_id uuid) returns void
language sql volatile set search_path = ''
begin atomic
  select pg_advisory_xact_lock(hashtextextended('credits of ' || p_profile_id, 0));
end;
comment on function private.lock_credits_of(uuid) is 'Keeps others from changing this person''s credits until the transaction ends.';

create function private.credit_in_use(p_source_table text, p_source_id uuid) returns public.credit_entries
language sql stable security definer set search_path = ''
return (
  select u
  from public.credit_entries u
  where u.source_id = p_source_id and u.source_table = p_source_table and u.kind = 'used'
    and not exists (
      select from public.credit_entries r
      where r.purchase_id = u.purchase_id and r.used_entry_no = u.entry_no and r.kind = 'returned'
    )
  order by u.use_no desc
  limit 1
);
comment on function private.credit_in_use(text, uuid) is 'The use of a credit for this that was not returned, or null.';

create function private.is_credit_forfeited(p_use public.credit_entries) returns boolean
language sql stable security definer set search_path = ''
return exists (
  select from public.credit_entries f
  where f.purchase_id = p_use.purchase_id and f.used_entry_no = p_use.entry_no and f.kind = 'forfeited'
);
comment on function private.is_credit_forfeited(public.credit_entries) is 'Whether this use of a credit was forfeited by cancelling late.';

create function private.is_paused_on(p_purchase_id uuid, p_date date) returns boolean
language sql stable security definer set search_path = ''
return exists (
  select from public.credit_entries r
  where r.purchase_id = p_purchase_id and r.kind = 'resumed' and p_date >= r.occurs_on - r.extends_days and p_date < r.occurs_on
);
comment on function private.is_paused_on(uuid, date) is 'Whether a date lies in a pause of this purchase that is over.';

create function private.refuse_entry(p_purchase public.package_purchases, p_kind text, p_state text) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.fail('illegal_transition',
    case p_state when 'active' then 'This package is not paused' else format('This package is %s', p_state) end, 'purchase_id',
    jsonb_build_object('purchase_id', p_purchase.id, 'from', p_state, 'entry', p_kind));
end;
$$;
comment on function private.refuse_entry(public.package_purchases, text, text) is 'Says that a purchase in this state takes no such entry.';

create function private.check_credit_use(p_entry public.credit_entries, p_purchase public.package_purchases) returns integer
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_in_use public.credit_entries := private.credit_in_use(p_entry.source_table, p_entry.source_id);
begin
  if v_in_use.purchase_id is not null then
    perform private.fail('duplicate', 'A credit is used for this already', 'source_id',
      jsonb_build_object('source_table', p_entry.source_table, 'source_id', p_entry.source_id, 'purchase_id', v_in_use.purchase_id));
  end if;
  if p_entry.occurs_on not between p_purchase.purchased_on and p_purchase.expires_on then
    perform private.fail('limit_exceeded',
      format('This package is good from %s to %s', p_purchase.purchased_on, p_purchase.expires_on), 'occurs_on',
      jsonb_build_object('purchase_id', p_purchase.id, 'occurs_on', p_entry.occurs_on, 'limit', p_purchase.expires_on));
  end if;
  if private.is_paused_on(p_purchase.id, p_entry.occurs_on) then
    perform private.fail('limit_exceeded', format('This package was paused on %s', p_entry.occurs_on), 'occurs_on',
      jsonb_build_object('purchase_id', p_purchase.id, 'occurs_on', p_entry.occurs_on));
  end if;
  if p_entry.balance_after < 0 then
    perform private.fail('limit_exceeded', 'No credits left', 'purchase_id', jsonb_build_object('purchase_id', p_purchase.id, 'limit', 0));
  end if;
  return 1 + (
    select count(*) from public.credit_entries u
    where u.source_id = p_entry.source_id and u.source_table = p_entry.source_table and u.kind = 'used'
  );
end;
$$;
comment on function private.check_credit_use(public.credit_entries, public.package_purchases) is
  'Refuses the use of a credit that is not there, out of its dates, or for what has one already; gives the number of the use.';

-- What state the lot is in is read from its entries and not from the purchase, which follows only at the end of the
-- statement: several rows of one statement are seen one after the other.
create function private.check_credit_entry() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase public.package_purchases;
  v_last public.credit_entries;
  v_turn public.credit_entries;
  v_state text;
begin
  perform private.require_read_committed();
  -- What a purchase that nobody else sees yet is granted needs no lock.
  if new.kind <> 'granted' then
    perform private.lock_credits_of(p.profile_id) from public.package_purchases p where p.id = new.purchase_id;
  end if;
  select p.* into v_purchase from public.package_purchases p where p.id = new.purchase_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such purchase', 'purchase_id', jsonb_build_object('purchase_id', new.purchase_id));
  end if;
  select e.* into v_last from public.credit_entries e where e.purchase_id = new.purchase_id order by e.entry_no desc limit 1;
  select e.* into v_turn from public.credit_entries e
  where e.purchase_id = new.purchase_id and e.kind in ('paused', 'resumed', 'refunded')
  order by e.entry_no desc
  limit 1;
  v_state := case v_turn.kind when 'paused' then 'paused' when 'refunded' then 'refunded' else 'active' end;

  new.entry_no := coalesce(v_last.entry_no, 0) + 1;
  new.occurs_on := coalesce(new.occurs_on, private.today());
  new.reason := private.clean_text(new.reason);
  new.use_no := null;
  new.used_entry_no := null;
  new.extends_days := null;
  new.change := case new.kind when 'granted' then v_purchase.credits when 'used' then -1 when 'returned' then 1
    when 'refunded' then -v_last.balance_after else 0 end;
  new.balance_after := coalesce(v_last.balance_after, 0) + new.change;
  if private.caller_id() is not null then
    new.recorded_by := private.caller_id();
    new.created_at := private.now();
  end if;

  if new.kind = 'granted' then
    if v_last.entry_no is not null then
      perform private.fail('illegal_transition', 'The credits of this package were granted already', 'purchase_id',
        jsonb_build_object('purchase_id', v_purchase.id, 'entry', new.kind));
    end if;
  elsif new.kind = 'used' then
    if v_state <> 'active' then
      perform private.refuse_entry(v_purchase, new.kind, v_state);
    end if;
    new.use_no := private.check_credit_use(new, v_purchase);
  elsif new.kind in ('returned', 'forfeited') then
    if new.kind = 'returned' and v_state = 'refunded' then
      perform private.refuse_entry(v_purchase, new.kind, v_state);
    end if;
    select u.entry_no, u.occurs_on into new.used_entry_no, new.occurs_on
    from private.credit_in_use(new.source_table, new.source_id) u
    where u.purchase_id = new.purchase_id and not private.is_credit_forfeited(u);
    if not found then
      perform private.fail('illegal_transition', 'No credit of this package is in use for this', 'source_id',
        jsonb_build_object('purchase_id', new.purchase_id, 'source_table', new.source_table, 'source_id', new.source_id));
    end if;
  elsif new.kind = 'paused' then
    if v_state <> 'active' then
      perform private.refuse_entry(v_purchase, new.kind, v_state);
    end if;
    if new.occurs_on > v_purchase.expires_on then
      perform private.fail('illegal_transition', format('This package expired after %s', v_purchase.expires_on), 'purchase_id',
        jsonb_build_object('purchase_id', v_purchase.id, 'from', 'expired', 'entry', new.kind));
    end if;
    perform private.fail_input(private.input_error(
      new.occurs_on not between greatest(v_purchase.purchased_on, v_turn.occurs_on) and private.today(), 'occurs_on',
      format('A pause begins on a day from %s up to today', greatest(v_purchase.purchased_on, v_turn.occurs_on))));
  elsif new.kind = 'resumed' then
    if v_state <> 'paused' then
      perform private.refuse_entry(v_purchase, new.kind, v_state);
    end if;
    perform private.fail_input(private.input_error(
      new.occurs_on not between v_turn.occurs_on and private.today(), 'occurs_on',
      format('The pause ends between %s and %s', v_turn.occurs_on, private.today())));
    new.extends_days := new.occurs_on - v_turn.occurs_on;
  elsif new.kind = 'refunded' then
    if v_state = 'refunded' then
      perform private.refuse_entry(v_purchase, new.kind, v_state);
    end if;
    perform private.fail_input(private.input_error(coalesce(not new.amount between 0 and v_purchase.price, true), 'amount',
      format('Between 0 and %s can be given back', v_purchase.price)));
  end if;
  return new;
end;
$$;
comment on function private.check_credit_entry() is
  'Row trigger: numbers an entry and works out its balance under the purchase''s lock; refuses what this purchase cannot take now.';

create function private.follow_credit_entry() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.package_purchases p
  set status = case new.kind when 'paused' then 'paused' when 'resumed' then 'active' else 'refunded' end,
    paused_on = case new.kind when 'paused' then new.occurs_on end,
    expires_on = p.expires_on + coalesce(new.extends_days, 0)
  where p.id = new.purchase_id;
  return null;
end;
$$;
comment on function private.follow_credit_entry() is 'Row trigger: pausing, resuming and refunding change the purchase.';

create trigger t10_only_added_to before delete or truncate on public.credit_entries
  for each statement execute function private.refuse_statement('credit_entries is only ever added to');
create trigger t10_never_changed before update on public.credit_entries
  for each statement execute function private.refuse_direct_write('Entries stay as they are: add one that puts it right.');
create trigger t20_check before insert on public.credit_entries
  for each row execute function private.check_credit_entry();
create trigger t50_follow after insert on public.credit_entries
  for each row when (new.kind in ('paused', 'resumed', 'refunded')) execute function private.follow_credit_entry();
