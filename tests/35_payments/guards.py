"""What goes wrong without each guard of payments and credits. The rows are those of sample.py, twice."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.guards import guards
from tests.support.stage import Stage

USED = "select purchase_id, entry_no from public.credit_entries where kind = 'used' and use_no = 2 limit 1"
A_USE = f"(purchase_id, entry_no) = ({USED})"
# What follows the last entry of a purchase that has an entry of that kind, as if no trigger numbered it.
NEXT = (
    "insert into public.credit_entries (purchase_id, entry_no, kind, change, balance_after, source_table, source_id, use_no, reason) "
    "select l.purchase_id, l.entry_no + 1, n.kind, n.change, l.balance_after + n.change{2} "
    "from (select {0}) as n(kind, change), public.credit_entries l "
    "where l.purchase_id = (select purchase_id from public.credit_entries where kind = '{1}' limit 1) "
    "and l.entry_no = (select max(entry_no) from public.credit_entries m where m.purchase_id = l.purchase_id)"
)
A_PURCHASE = "(select id from public.package_purchases where status = 'active' limit 1)"
A_PAYMENT = "(select id from public.payments where status = 'succeeded' limit 1)"

REFUSED = {
    # payments
    "public.payments.amount_is_above_zero": "update public.payments set amount = 0",
    "public.payments.currency_is_iso_4217": "update public.payments set currency = 'dollars'",
    "public.payments.method_is_known": "update public.payments set method = 'shells'",
    "public.payments.provider_is_snake_case": "update public.payments set provider = 'Stripe!' where provider is not null",
    "public.payments.provider_comes_with_its_reference": "update public.payments set provider_reference = null where provider is not null",
    "public.payments.reference_is_given": "update public.payments set provider_reference = ' ' where provider_reference = 'ch_0'",
    "public.payments.received_at_is_between_1970_and_2200": "update public.payments set received_at = 'infinity'",
    "public.payments.status_is_known": "update public.payments set status = 'lost'",
    "public.payments.note_is_short": "update public.payments set note = repeat('x', 1001)",
    "public.payments.t10_only_added_to": "update public.payments set note = 'Mine.'",
    "public.payments.t20_check": (
        "insert into public.payments (payer_id, amount, currency, method) select payer_id, 1, 'CHF', 'cash' "
        "from public.payments limit 1"
    ),
    "public.settings.t30_keep_currency": "update public.settings set value = '\"CHF\"' where key = 'currency'",
    "public.payment_items.amount_is_above_zero": "update public.payment_items set amount = 0",
    "public.payment_items.t10_only_added_to": "update public.payment_items set amount = 1",
    "public.payment_items.t20_check": (
        f"insert into public.payment_items (payment_id, source_table, source_id, amount) values ({A_PAYMENT}, 'package_purchases', "
        "(select id from public.package_purchases where status = 'paused' limit 1), 20.01)"
    ),
    # refunds
    "public.refunds.amount_is_above_zero": "update public.refunds set amount = 0",
    "public.refunds.reason_is_given": "update public.refunds set reason = ' '",
    "public.refunds.provider_is_snake_case": "update public.refunds set provider = 'Stripe!'",
    "public.refunds.provider_comes_with_its_reference": "update public.refunds set provider_reference = null",
    "public.refunds.reference_is_given": "update public.refunds set provider_reference = ' ' where provider_reference = 're_0'",
    "public.refunds.refunded_at_is_between_1970_and_2200": "update public.refunds set refunded_at = 'infinity'",
    "public.refunds.refunds_payment_id_fkey": (
        "insert into public.refunds (payment_id, amount, reason) values (gen_random_uuid(), 1, 'x')"
    ),
    "public.refunds.refunds_pkey": (
        "insert into public.refunds (id, payment_id, amount, reason) select r.id, p.id, 1, 'x' "
        "from public.refunds r join public.payments p on p.id <> r.payment_id limit 1"
    ),
    "public.refunds.t10_only_added_to": "update public.refunds set reason = 'Mine.'",
    "public.refunds.t20_check": (
        "insert into public.refunds (payment_id, amount, reason) select id, 1, 'x' from public.payments where status = 'failed' limit 1"
    ),
    "public.refunds.t60_refund_is_placed": f"insert into public.refunds (payment_id, amount, reason) values ({A_PAYMENT}, 21, 'x')",
    "public.refund_items.amount_is_above_zero": "update public.refund_items set amount = 0",
    "public.refund_items.t10_only_added_to": "update public.refund_items set amount = 1",
    "public.refund_items.t20_check": (
        "insert into public.refund_items (refund_id, payment_id, source_table, source_id, amount) "
        "select r.id, r.payment_id, i.source_table, i.source_id, 1 from public.refunds r "
        "join public.payment_items i on i.payment_id = r.payment_id and i.amount = 80 limit 1"
    ),
    "public.refund_items.item_belongs_to_a_refund": "update public.refund_items set refund_id = gen_random_uuid()",
    "public.refund_items.item_was_paid_for": "update public.refund_items set source_id = gen_random_uuid()",
    # purchases
    "public.package_purchases.credits_are_sensible": "update public.package_purchases set credits = 0",
    "public.package_purchases.price_is_an_amount": "update public.package_purchases set price = 'NaN'",
    "public.package_purchases.validity_is_at_most_ten_years": "update public.package_purchases set validity_days = 0",
    "public.package_purchases.late_cancel_is_within_a_month": "update public.package_purchases set late_cancel_hours = -1",
    "public.package_purchases.purchased_on_is_between_1970_and_2200": "update public.package_purchases set purchased_on = '1950-01-01'",
    "public.package_purchases.expires_on_is_not_too_early": "update public.package_purchases set expires_on = purchased_on",
    "public.package_purchases.status_is_known": "update public.package_purchases set status = 'lost' where status = 'active'",
    "public.package_purchases.paused_since_a_day": "update public.package_purchases set paused_on = purchased_on where status = 'active'",
    "public.package_purchases.t05_only_entries_change_it": "update public.package_purchases set credits = 11",
    # credits
    "public.credit_entries.kind_is_known": "update public.credit_entries set kind = 'lost' where kind = 'paused'",
    "public.credit_entries.balance_is_not_below_zero": NEXT.format("'used', -1", "refunded", ", 'classes', gen_random_uuid(), 1, null"),
    "public.credit_entries.credit_entries_pkey": (
        "insert into public.credit_entries (purchase_id, entry_no, kind, change, balance_after, reason) "
        f"select purchase_id, 2, 'paused', 0, 10, 'A second one after the first.' from ({USED}) u"
    ),
    "public.credit_entries.credit_entries_purchase_id_fkey": (
        "insert into public.credit_entries (purchase_id, entry_no, kind, change, balance_after) "
        "values (gen_random_uuid(), 1, 'granted', 1, 1)"
    ),
    "public.credit_entries.entry_follows_the_one_before": f"update public.credit_entries set balance_after = balance_after + 1 where {A_USE}",
    "public.credit_entries.first_entry_grants": NEXT.format("'granted', 1", "used", ", null, null, null, null"),
    "public.credit_entries.change_fits_kind": NEXT.format("'paused', -1", "used", ", null, null, null, 'x'"),
    "public.credit_entries.use_says_what_for": "update public.credit_entries set source_table = null where kind = 'used'",
    "public.credit_entries.return_says_of_which_use": "update public.credit_entries set used_entry_no = null where kind = 'returned'",
    "public.credit_entries.return_is_of_an_entry": "update public.credit_entries set used_entry_no = 0 where kind = 'returned'",
    "public.credit_entries.a_use_ends_once": "update public.credit_entries set used_entry_no = 2 where kind = 'forfeited'",
    "public.credit_entries.credit_entries_one_credit_a_source": f"update public.credit_entries set use_no = 1 where {A_USE}",
    "public.credit_entries.resuming_extends": "update public.credit_entries set extends_days = null where kind = 'resumed'",
    "public.credit_entries.refund_says_how_much": "update public.credit_entries set amount = null where kind = 'refunded'",
    "public.credit_entries.reason_is_given_where_needed": "update public.credit_entries set reason = null where kind = 'refunded'",
    "public.credit_entries.t10_never_changed": f"update public.credit_entries set reason = 'Mine.' where {A_USE}",
    "public.credit_entries.t10_only_added_to": "delete from public.credit_entries where kind = 'refunded'",
}  # fmt: skip


@guards("public.refunds.refund_is_of_one_payment")
def a_line_is_of_its_refunds_own_payment(stage: Stage) -> None:
    """The key is what the foreign key of refund_items refers to."""
    stage.db.execute("alter table public.refund_items disable trigger user")
    with pytest.raises(psycopg.errors.ForeignKeyViolation), stage.db.transaction():
        stage.db.execute(
            "update public.refund_items r set (payment_id, source_id) = (i.payment_id, i.source_id) "
            "from public.payment_items i where i.payment_id <> r.payment_id"
        )


@guards("public.credit_entries.entry_has_one_balance")
def an_entry_refers_to_the_balance_before_it(stage: Stage) -> None:
    """The key is what the entries' reference to each other refers to."""
    stage.db.execute("alter table public.credit_entries disable trigger user")
    with pytest.raises(psycopg.errors.ForeignKeyViolation), stage.db.transaction():
        stage.db.execute(REFUSED["public.credit_entries.entry_follows_the_one_before"].encode())


@guards("public.credit_entries.t20_check")
def an_entry_is_numbered_and_refused_in_words(stage: Stage) -> None:
    with refused("limit_exceeded"), stage.db.transaction():
        stage.db.execute(
            "insert into public.credit_entries (purchase_id, kind, occurs_on, source_table, source_id) "
            f"values ({A_PURCHASE}, 'used', private.today() + 61, 'classes', gen_random_uuid())".encode()
        )


@guards("public.credit_entries.t50_follow", "public.package_purchases.t10_keep_version")
def pausing_changes_the_purchase(stage: Stage) -> None:
    row = stage.db.execute(
        f"insert into public.credit_entries (purchase_id, kind, reason) values ({A_PURCHASE}, 'paused', 'x') returning purchase_id".encode()
    ).fetchone()
    purchase = stage.db.execute("select status, version from public.package_purchases where id = %s", row).fetchone()
    assert purchase == ("paused", 2)


@guards("public.package_purchases.t20_freeze", "public.package_purchases.t50_grant")
def a_purchase_takes_the_packages_terms_and_has_its_credits(stage: Stage) -> None:
    row = stage.db.execute(
        "insert into public.package_purchases (profile_id, package_id) "
        "select p.profile_id, p.package_id from public.package_purchases p limit 1 returning id, credits, price"
    ).fetchone()
    assert row is not None
    assert row[1:] == (10, 100)
    left = stage.db.execute(
        "select balance_after from public.credit_entries where purchase_id = %s", [row[0]]
    ).fetchone()
    assert left == (10,)


@guards("public.package_purchases.t30_keep_what_is_paid")
def what_was_paid_for_is_not_deleted(stage: Stage) -> None:
    with refused("illegal_transition"), stage.db.transaction():
        stage.db.execute(
            "delete from public.package_purchases p using public.payment_items i where i.source_id = p.id and i.amount = 80"
        )


@guards("public.package_purchases.t40_never_deleted")
def a_purchase_is_not_deleted(stage: Stage) -> None:
    with refused("forbidden"), stage.db.transaction():
        stage.db.execute("delete from public.package_purchases where status = 'paused'")


@guards("private.credit_rebuilds.t50_rebuild")
def a_rebuild_puts_balances_right(stage: Stage) -> None:
    db = stage.db
    last = "entry_no = (select max(entry_no) from public.credit_entries) "
    db.execute("alter table public.credit_entries disable trigger user")
    db.execute("alter table public.credit_entries drop constraint entry_follows_the_one_before")
    db.execute(f"update public.credit_entries set balance_after = 9 where {last}".encode())
    db.execute("alter table public.credit_entries enable trigger user")
    db.execute("insert into private.credit_rebuilds (purchase_ids) select array_agg(id) from public.package_purchases")
    assert db.execute("select count(*) from private.check_package_credits_differ()").fetchone() == (0,)
