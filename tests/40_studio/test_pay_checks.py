"""Each check of pay: clean, a fault planted behind the triggers' back, found, mended where it can be, clean."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.calls import call
from tests.support.server import Database
from tests.support.studio import Studio
from tests.support.world import World


@pytest.fixture
def studio(world: World) -> Studio:
    """With a rate, and a pay period P of the days -34 to -24."""
    made = Studio(world)
    world.insert(
        "public.instructor_rates", instructor_id=made.teacher.profile_id, rate=50, effective_from=made.day(-400)
    )
    world.insert("public.pay_periods", name="P", starts_on=made.day(-34), ends_on=made.day(-24))
    return made


def found(studio: Studio, check: str) -> list[tuple[str, str]]:
    return studio.db.execute(
        "select entity_id, message from public.run_diagnostics(p_checks => %s) order by entity_id", [[check]]
    ).fetchall()


def mend(studio: Studio, check: str) -> tuple[int, int, int]:
    [row] = studio.db.execute(
        "select faults, fixed, remaining from public.apply_fixes(p_checks => %s)", [[check]]
    ).fetchall()
    return row


def plant(database: Database, statement: str, *arguments: Any) -> None:
    with database.connect(admin=True) as behind, behind.transaction():
        behind.execute("set local session_replication_role = replica")
        assert behind.execute(statement.encode(), arguments).rowcount > 0, "nothing was planted"


def amount(studio: Studio, assignment: Any) -> Any:
    row = studio.db.execute(
        "select payment_amount from public.class_assignments where id = %s", [assignment.id]
    ).fetchone()
    assert row is not None
    return row[0]


def test_amounts_that_differ_from_their_calculation(studio: Studio) -> None:
    """By hand, as anyone may who changes assignments: a cent is let pass, more is found and set back."""
    by_a_cent, more, agreed, cancelled = (studio.assignment(day, payment_amount=None) for day in range(4))
    studio.assignment(5, payment_amount=70)
    assert found(studio, "amounts_differ") == []
    change = "update public.class_assignments set payment_amount = %s where id = %s"
    for row, value in ((by_a_cent, "50.01"), (more, "50.02"), (agreed, "70"), (cancelled, "1")):
        studio.db.execute(change.encode(), [value, row.id])
    studio.db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [cancelled.id])
    call(studio.db, None, "set_assignment_pay", p_assignment_ids=[agreed.id], p_payment_type="per_class", p_rate=70)
    [(entity_id, message)] = found(studio, "amounts_differ")
    assert entity_id == str(more.id)
    assert "Tara Teacher" in message
    assert "50.02" in message
    assert mend(studio, "amounts_differ") == (1, 1, 0)
    assert found(studio, "amounts_differ") == []
    assert [str(amount(studio, row)) for row in (by_a_cent, more, agreed, cancelled)] == [
        "50.01",
        "50.00",
        "70.00",
        "1.00",
    ]


def test_amounts_in_closed_periods_and_settled_ones_stay_findings(studio: Studio, database: Database) -> None:
    closed, paid, pending = (
        studio.assignment(day, payment_amount=None, class_status="completed", payment_status=status)
        for day, status in ((-30, "pending"), (-20, "paid"), (-19, "pending"))
    )
    call(studio.db, None, "close_pay_period", p_name="P")
    plant(database, "update public.class_assignments set payment_amount = 60")
    assert mend(studio, "amounts_differ") == (3, 1, 2)
    assert [amount(studio, row) for row in (closed, paid, pending)] == [60, 60, 50]
    call(studio.db, None, "reopen_pay_period", p_name="P", p_reason="An amount was wrong.")
    assert mend(studio, "amounts_differ") == (2, 1, 1)
    assert [entity_id for entity_id, _ in found(studio, "amounts_differ")] == [str(paid.id)]


def test_paid_for_and_then_cancelled(studio: Studio) -> None:
    row = studio.assignment(0, payment_amount=None)
    studio.db.execute("update public.class_assignments set payment_status = 'paid'")
    assert found(studio, "paid_but_cancelled") == []
    studio.db.execute("update public.class_assignments set class_status = 'cancelled'")
    [(entity_id, message)] = found(studio, "paid_but_cancelled")
    assert entity_id == str(row.id)
    assert message.startswith("Tara Teacher was paid 50.00 for the class on")


def test_periods_that_are_not_what_was_recorded(studio: Studio, database: Database) -> None:
    studio.world.insert("public.pay_periods", name="Q", starts_on="2020-01-01", ends_on="2020-01-31")
    call(studio.db, None, "close_pay_period", p_name="P")
    assert found(studio, "pay_periods_differ") == []
    plant(database, "update public.pay_periods set status = case status when 'open' then 'closed' else 'open' end")
    assert sorted(message for _, message in found(studio, "pay_periods_differ")) == [
        "P is open, and was last closed", "Q is closed, and was last opened",
    ]  # fmt: skip
    assert mend(studio, "pay_periods_differ") == (2, 2, 0)
    assert studio.db.execute("select name, status from public.pay_periods order by name").fetchall() == [
        ("P", "closed"),
        ("Q", "open"),
    ]
