"""A student's lessons, and what people do with them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.support.calls import call
from tests.support.identity import User
from tests.support.tracking import Tracking


class Lessons:
    """A student with a login, `lina`, whose teacher is `tracking.teacher`; `first` is at ten on Monday, four hours ahead."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking, self.db = tracking, tracking.db
        self.lina, self.student = tracking.login()
        self.staff, self.manager = tracking.world.user("staff"), tracking.world.user("manager")
        self.first, self.second, self.third, self.fourth = (row.id for row in tracking.classes(self.student.id))

    def row(self, class_id: UUID) -> Any:
        [found] = [row for row in self.tracking.classes(self.student.id) if row.id == class_id]
        return found

    def cancel(self, by: User | None, class_id: UUID, **more: Any) -> Any:
        [answer] = call(self.db, by, "cancel_class", p_class_id=class_id, **{"p_reason": "Ill.", **more})
        return answer

    def owed(self) -> list[tuple[str, int]]:
        """What Lina owes: titles and amounts."""
        return self.db.execute(
            "select title, amount_outstanding::integer from public.outstanding_amounts() order by title"
        ).fetchall()

    def pay(self, class_id: UUID, amount: int = 40) -> UUID:
        paid: UUID = self.tracking.one(
            "select id from public.record_payment(%s, %s, 'cash', %s)", self.lina.profile_id, amount,
            Jsonb([{"source_table": "classes", "source_id": str(class_id), "amount": amount}]),
        )  # fmt: skip
        return paid
