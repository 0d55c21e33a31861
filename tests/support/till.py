"""Payments and packages in tests: people, packages and purchases made in a line, credits used and given back."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID, uuid4

from psycopg import sql

from tests.support.ledger import Connection, Ledger
from tests.support.server import Database


class Till(Ledger):
    """A database with packages sold and money received, written as the owner; `today` is its day.

    Sources of credits are rows of a table `classes` that nobody needs to have: the ledger of credits only names them.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.today: date = self.one("select private.today()")

    def _insert(self, table: str, by: Connection | None, values: dict[str, Any]) -> UUID:
        row = (
            (by or self.db)
            .execute(
                sql.SQL("insert into public.{} ({}) values ({}) returning id").format(
                    sql.Identifier(table),
                    sql.SQL(", ").join(map(sql.Identifier, values)),
                    sql.SQL(", ").join(map(sql.Literal, values.values())),
                )
            )
            .fetchone()
        )
        assert row is not None
        made: UUID = row[0]
        return made

    def package(self, **columns: Any) -> UUID:
        """A package of ten classes for 100, valid for 30 days unless told otherwise."""
        return self._insert("packages", None, {"name": "Card", "price": 100, "class_count": 10, **columns})

    def sell(self, person: UUID, package: UUID | None = None, by: Connection | None = None, **columns: Any) -> UUID:
        """A purchase over the plain table."""
        values = {"profile_id": person, "package_id": package or self.package(), **columns}
        return self._insert("package_purchases", by, values)

    def use(
        self, person: UUID, source: UUID | None = None, *, on: date | None = None, package: UUID | None = None,
        by: Connection | None = None,
    ) -> tuple[UUID, int]:  # fmt: skip
        """Uses a credit for a class tomorrow (`on`); gives the purchase's id and the number of the entry."""
        row = (
            (by or self.db)
            .execute(
                "select purchase_id, entry_no from private.use_credit(%s, %s, coalesce(%s, private.today() + 1), 'classes', %s)",
                [person, package, on, source or uuid4()],
            )
            .fetchone()
        )
        assert row is not None
        return row[0], row[1]

    def give_back(self, source: UUID, starts_at: Any = None, by: Connection | None = None) -> str | None:
        """Cancels; gives the kind of entry it made, None for none."""
        row = (
            (by or self.db)
            .execute("select kind from private.return_credit('classes', %s, %s)", [source, starts_at])
            .fetchone()
        )
        assert row is not None
        kind: str | None = row[0]
        return kind

    def enter(self, purchase: UUID, kind: str, by: Connection | None = None, **columns: Any) -> None:
        """An entry over the plain table."""
        values = {"purchase_id": purchase, "kind": kind, **columns}
        (by or self.db).execute(
            sql.SQL("insert into public.credit_entries ({}) values ({})").format(
                sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(map(sql.Literal, values.values()))
            )
        )

    def entries(self, purchase: UUID) -> list[tuple[str, int]]:
        """What happened to its credits: kinds and the balances after them."""
        return self.db.execute(
            "select kind, balance_after from public.credit_entries where purchase_id = %s order by entry_no", [purchase]
        ).fetchall()

    def left(self, purchase: UUID) -> int:
        """The credits left."""
        left: int = self.one("select credits_left from public.package_balances where purchase_id = %s", purchase)
        return left

    def pay(self, person: UUID, amount: Any, /, by: Connection | None = None, **lines: Any) -> UUID:
        """A payment over the plain tables; `items` are pairs of a purchase and an amount, the rest are columns."""
        items = lines.pop("items", ())
        payment = self._insert("payments", by, {"payer_id": person, "amount": amount, "method": "cash", **lines})
        for purchase, part in items:
            self.pay_for(payment, purchase, part, by)
        return payment

    def pay_for(self, payment: UUID, purchase: UUID, amount: Any, by: Connection | None = None) -> None:
        """One more line of a payment."""
        (by or self.db).execute(
            "insert into public.payment_items (payment_id, source_table, source_id, amount) "
            "values (%s, 'package_purchases', %s, %s)",
            [payment, purchase, amount],
        )

    def refund(self, payment: UUID, amount: Any, /, by: Connection | None = None, **lines: Any) -> UUID:
        """A refund over the plain tables, in one transaction; `items` as in `pay`."""
        items = lines.pop("items", ())
        connection = by or self.db
        with connection.transaction():
            refund = self._insert("refunds", by, {"payment_id": payment, "amount": amount, "reason": "Asked.", **lines})
            for purchase, part in items:
                connection.execute(
                    "insert into public.refund_items (refund_id, payment_id, source_table, source_id, amount) "
                    "values (%s, %s, 'package_purchases', %s, %s)",
                    [refund, payment, purchase, part],
                )
        return refund

    def findings(self) -> list[tuple[str, str]]:
        """What diagnosis finds in the books: check and sentence."""
        return self.db.execute(
            "select check_name, message from public.run_diagnostics(p_modules => '{35_payments}')"
        ).fetchall()
