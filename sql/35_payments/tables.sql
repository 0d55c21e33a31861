-- 35_payments: the money people paid, what it was for, and the credits they bought with it.
--
-- `payments` and `refunds` are the books: what was received and what was given back, each with lines that say for which
-- rows of which tables (`payment_items`, `refund_items`). They are only ever added to, by anybody. A report of a
-- payment that failed is on record too, and counts nothing. Nobody stores what is still owed: every table that costs
-- people something has a view private.<table>_dues, and outstanding_amounts() compares the two.
--
-- `package_purchases` are lots of credits with a last day, `credit_entries` their ledger: granted, used, returned,
-- forfeited, paused, resumed, refunded. Every entry names the balance after it and refers to the entry before it by
-- number and balance, so that two entries cannot both follow the same one, and no balance is below zero. The purchase's
-- status and last day follow from its entries.
--
-- The life of a purchase: active, perhaps paused (its last day moves on by as long as it lasts) and active again, used
-- up or expired by itself, or refunded, which is the end: what is left of it is gone, and the part of the price that
-- is given back is no longer due.
--
-- Promises: a provider's reference is counted once, however often and however concurrently it is reported; the lines of
-- a payment never exceed it, its refunds never exceed it nor any of its lines; a credit is used once, within its lot's
-- dates, never while the lot is paused, and never below zero.
--
-- Lock order: people whose credits change, by id, then their purchases by id; the paid rows by table and id, then
-- payments by id. Nobody holds both kinds. Rules are written for READ COMMITTED.

create table public.payments (
  id uuid primary key default gen_random_uuid(),
  payer_id uuid not null references public.user_profiles (id) on delete restrict,
  amount numeric(12,2) not null,
  currency text not null default private.setting_text('currency'),
  method text not null,
  provider text,
  provider_reference text,
  received_at timestamptz not null default private.now(),
  status text not null default 'succeeded',
  note text,
  recorded_by uuid,
  created_at timestamptz not null default private.now(),
  constraint provider_reference_is_counted_once unique (provider, provider_reference),
  -- NaN counts as larger than any number, so the upper bound keeps it out.
  constraint amount_is_above_zero check (amount > 0 and amount <= 9999999999.99),
  constraint currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
  constraint method_is_known check (method in ('cash', 'card', 'bank_transfer', 'upi', 'wallet', 'cheque', 'other')),
  constraint provider_is_snake_case check (provider ~ '^[a-z]+(_[a-z0-9]+)*$' and length(provider) <= 100),
  constraint provider_comes_with_its_reference check ((provider is null) = (provider_reference is null)),
  constraint reference_is_given check (
    provider_reference is null
    or (provider_reference is not distinct from private.clean_text(provider_reference) and length(provider_reference) <= 200)
  ),
  constraint received_at_is_between_1970_and_2200 check (
    received_at >= timestamptz '1970-01-01 00:00+00' and received_at < timestamptz '2200-01-01 00:00+00'
  ),
  constraint status_is_known check (status in ('succeeded', 'failed')),
  constraint note_is_short check (length(note) <= 1000)
);
create index payments_payer on public.payments (payer_id, received_at);
create index payments_received_at on public.payments (received_at);
comment on table public.payments is 'Money that was received, and reports of payments that failed. Only ever added to, through record_payment.';
comment on column public.payments.payer_id is 'Who paid; what for, and for whom, is said by the items.';
comment on column public.payments.amount is 'In the currency of the row, above zero.';
comment on column public.payments.currency is 'ISO 4217; always the organisation''s.';
comment on column public.payments.method is 'cash, card, bank_transfer, upi, wallet, cheque or other.';
comment on column public.payments.provider is 'Through whom it came, such as stripe or razorpay; null for what was handed over.';
comment on column public.payments.provider_reference is 'What the provider calls this one attempt to pay. It counts once, however often it is reported.';
comment on column public.payments.received_at is 'When the money was received, or the attempt failed.';
comment on column public.payments.status is 'succeeded, or failed: on record, and counting nothing.';
-- No foreign key: the books do not change when a login goes.
comment on column public.payments.recorded_by is 'The user who recorded it; null when a server did.';

create table public.payment_items (
  payment_id uuid not null references public.payments (id) on delete restrict,
  source_table text not null,
  source_id uuid not null,
  amount numeric(12,2) not null,
  created_at timestamptz not null default private.now(),
  primary key (payment_id, source_table, source_id),
  constraint amount_is_above_zero check (amount > 0 and amount <= 9999999999.99)
);
create index payment_items_source on public.payment_items (source_id, source_table);
comment on table public.payment_items is 'What a payment pays for, as links to rows of other tables. Only ever added to, through record_payment and allocate_payment.';
comment on column public.payment_items.source_table is 'The table in public, one that people owe for, such as package_purchases.';
comment on column public.payment_items.source_id is 'The id of the row there.';
comment on column public.payment_items.amount is 'How much of the payment is for it. What no item names is an advance.';

create table public.refunds (
  id uuid primary key default gen_random_uuid(),
  payment_id uuid not null references public.payments (id) on delete restrict,
  amount numeric(12,2) not null,
  reason text not null,
  provider text,
  provider_reference text,
  refunded_at timestamptz not null default private.now(),
  recorded_by uuid,
  created_at timestamptz not null default private.now(),
  constraint refund_is_of_one_payment unique (id, payment_id),
  constraint refund_reference_is_counted_once unique (provider, provider_reference),
  constraint amount_is_above_zero check (amount > 0 and amount <= 9999999999.99),
  constraint reason_is_given check (reason is not distinct from private.clean_text(reason) and length(reason) <= 1000),
  constraint provider_is_snake_case check (provider ~ '^[a-z]+(_[a-z0-9]+)*$' and length(provider) <= 100),
  constraint provider_comes_with_its_reference check ((provider is null) = (provider_reference is null)),
  constraint reference_is_given check (
    provider_reference is null
    or (provider_reference is not distinct from private.clean_text(provider_reference) and length(provider_reference) <= 200)
  ),
  constraint refunded_at_is_between_1970_and_2200 check (
    refunded_at >= timestamptz '1970-01-01 00:00+00' and refunded_at < timestamptz '2200-01-01 00:00+00'
  )
);
create index refunds_payment on public.refunds (payment_id);
create index refunds_refunded_at on public.refunds (refunded_at);
comment on table public.refunds is 'Money that was given back, of one payment each. Only ever added to, through refund_payment.';
comment on column public.refunds.amount is 'In the payment''s currency; all refunds of a payment never exceed it.';
comment on column public.refunds.provider_reference is 'What the provider calls this refund. It counts once, however often it is reported.';
comment on column public.refunds.recorded_by is 'The user who recorded it; null when a server did.';

create table public.refund_items (
  refund_id uuid not null,
  payment_id uuid not null,
  source_table text not null,
  source_id uuid not null,
  amount numeric(12,2) not null,
  created_at timestamptz not null default private.now(),
  primary key (refund_id, source_table, source_id),
  constraint item_belongs_to_a_refund foreign key (refund_id, payment_id)
    references public.refunds (id, payment_id) on delete restrict,
  constraint item_was_paid_for foreign key (payment_id, source_table, source_id)
    references public.payment_items (payment_id, source_table, source_id) on update cascade on delete restrict,
  constraint amount_is_above_zero check (amount > 0 and amount <= 9999999999.99)
);
create index refund_items_refund on public.refund_items (refund_id, payment_id);
create index refund_items_payment_item on public.refund_items (payment_id, source_table, source_id);
create index refund_items_source on public.refund_items (source_id, source_table);
comment on table public.refund_items is 'Which lines of the payment a refund gives back. Only ever added to.';
comment on column public.refund_items.payment_id is 'The refund''s payment, which has a line for the same row.';
comment on column public.refund_items.amount is 'How much of that line is given back. What no item names is taken off the payment''s advance.';

create table public.package_purchases (
  id uuid primary key default gen_random_uuid(),
  profile_id uuid not null references public.user_profiles (id) on delete restrict,
  package_id uuid not null references public.packages (id) on delete restrict,
  credits integer not null,
  price numeric(12,2) not null,
  validity_days integer not null,
  late_cancel_hours integer not null,
  purchased_on date not null default private.today(),
  expires_on date not null,
  status text not null default 'active',
  paused_on date,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint credits_are_sensible check (credits between 1 and 1000),
  constraint price_is_an_amount check (price between 0 and 9999999999.99),
  constraint validity_is_at_most_ten_years check (validity_days between 1 and 3660),
  constraint late_cancel_is_within_a_month check (late_cancel_hours between 0 and 744),
  constraint purchased_on_is_between_1970_and_2200 check (purchased_on >= date '1970-01-01' and purchased_on < date '2200-01-01'),
  constraint expires_on_is_not_too_early check (expires_on >= purchased_on + validity_days and isfinite(expires_on)),
  constraint status_is_known check (status in ('active', 'paused', 'refunded')),
  constraint paused_since_a_day check ((status = 'paused') = (paused_on is not null))
);
create index package_purchases_profile on public.package_purchases (profile_id, package_id, expires_on);
create index package_purchases_package on public.package_purchases (package_id);
create index package_purchases_created_by on public.package_purchases (created_by);
comment on table public.package_purchases is 'Packages people bought: lots of credits, each with a last day. Written through purchase_package, and by its credit_entries.';
comment on column public.package_purchases.profile_id is 'Who bought it, and uses its credits.';
comment on column public.package_purchases.credits is 'How many classes it was good for, as the package said then.';
comment on column public.package_purchases.price is 'What it cost, as the package said then.';
comment on column public.package_purchases.validity_days is 'For how many days it was good, as the package said then.';
comment on column public.package_purchases.late_cancel_hours is
  'Cancelling fewer hours than this before a class starts costs the credit, as the package said then.';
comment on column public.package_purchases.purchased_on is 'The first day a credit can be used for.';
comment on column public.package_purchases.expires_on is 'The last day a credit can be used for: validity_days after the purchase, and as long again as it was paused.';
comment on column public.package_purchases.status is 'active, paused or refunded, as its entries say. Whether it has expired or is used up is a question of the day, see package_balances.';
comment on column public.package_purchases.paused_on is 'Since when it is paused; null when it is not.';

create table public.credit_entries (
  purchase_id uuid not null references public.package_purchases (id) on delete restrict,
  entry_no integer not null,
  kind text not null,
  change integer not null,
  balance_after integer not null,
  occurs_on date not null default private.today(),
  source_table text,
  source_id uuid,
  use_no integer,
  used_entry_no integer,
  extends_days integer,
  amount numeric(12,2),
  reason text,
  recorded_by uuid,
  created_at timestamptz not null default private.now(),
  previous_no integer generated always as (case when entry_no > 1 then entry_no - 1 end) stored,
  balance_before integer generated always as (case when entry_no > 1 then balance_after - change end) stored,
  primary key (purchase_id, entry_no),
  -- What the next entry refers to: it can follow only the balance that is there, and only one entry can.
  constraint entry_has_one_balance unique (purchase_id, entry_no, balance_after),
  constraint entry_follows_the_one_before foreign key (purchase_id, previous_no, balance_before)
    references public.credit_entries (purchase_id, entry_no, balance_after),
  constraint balance_is_not_below_zero check (balance_after >= 0),
  constraint kind_is_known check (
    kind in ('granted', 'used', 'returned', 'forfeited', 'paused', 'resumed', 'refunded')
  ),
  constraint first_entry_grants check (
    entry_no >= 1 and (entry_no = 1) = (kind = 'granted') and (entry_no > 1 or balance_after = change)
  ),
  constraint change_fits_kind check (
    case kind when 'granted' then change > 0 when 'used' then change = -1 when 'returned' then change = 1
      when 'refunded' then change <= 0 and balance_after = 0 else change = 0 end
  ),
  constraint use_says_what_for check (
    (kind in ('used', 'returned', 'forfeited')) = (source_table is not null)
    and (source_table is null) = (source_id is null) and (kind = 'used') = (use_no is not null) and use_no >= 1
  ),
  constraint return_says_of_which_use check (
    (kind in ('returned', 'forfeited')) = (used_entry_no is not null) and used_entry_no < entry_no
  ),
  constraint a_use_ends_once unique (purchase_id, used_entry_no),
  constraint return_is_of_an_entry foreign key (purchase_id, used_entry_no)
    references public.credit_entries (purchase_id, entry_no),
  constraint resuming_extends check ((kind = 'resumed') = (extends_days is not null) and extends_days >= 0),
  constraint refund_says_how_much check (
    (kind = 'refunded') = (amount is not null) and amount between 0 and 9999999999.99
  ),
  constraint reason_is_given_where_needed check (
    (reason is not null or kind not in ('paused', 'refunded')) and length(reason) <= 1000
  )
);
create unique index credit_entries_one_credit_a_source on public.credit_entries (source_id, source_table, use_no) where kind = 'used';
create index credit_entries_previous on public.credit_entries (purchase_id, previous_no, balance_before);
comment on table public.credit_entries is
  'The ledger of each purchase: what happened to its credits, with the balance after it. Only ever added to; numbers and balances are filled in.';
comment on column public.credit_entries.entry_no is 'Counts the entries of a purchase, from 1.';
comment on column public.credit_entries.kind is
  'granted with the purchase; used for something; returned, or forfeited because that was cancelled too late; paused, resumed; refunded, which ends it.';
comment on column public.credit_entries.change is 'Credits more or fewer.';
comment on column public.credit_entries.balance_after is 'Credits left after this entry; never below zero.';
comment on column public.credit_entries.occurs_on is 'The day it is about: of the class a credit is (or was) used for, or the day a pause begins or ends.';
comment on column public.credit_entries.source_table is 'The table in public whose row uses, or used, the credit.';
comment on column public.credit_entries.source_id is 'The id of that row.';
comment on column public.credit_entries.use_no is
  'How many credits that row has used, this one included. All before were returned: a forfeited credit stays used for it.';
comment on column public.credit_entries.used_entry_no is 'The use that was returned or forfeited.';
comment on column public.credit_entries.extends_days is 'For how many days it was paused: its last day moves on by as many.';
comment on column public.credit_entries.amount is 'How much of the price is given back, for a refund.';
comment on column public.credit_entries.recorded_by is 'The user who caused it; null when a server did.';
comment on column public.credit_entries.previous_no is 'The entry before it.';
comment on column public.credit_entries.balance_before is 'What that entry left.';
