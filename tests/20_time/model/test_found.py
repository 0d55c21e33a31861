"""What the model found, each as a plain test of its own."""

from __future__ import annotations

from tests.support.ledger import Ledger
from tests.support.server import Database


def test_a_group_without_any_member_left_is_found_and_stops_no_diagnosis(database: Database) -> None:
    """The check asked after the table of a member that is not there, and took every other check down with it."""
    ledger = Ledger(database)
    pair = [ledger.meeting(title, ledger.place()) for title in ("One", "Other")]
    override = ledger.override(*pair)
    ledger.db.execute("delete from public.meetings where id = any(%s)", [pair])
    found = ledger.db.execute(
        "select check_name, entity_id from public.run_diagnostics(p_modules => '{time}')"
    ).fetchall()
    assert found == [("overrides_without_use", str(override))]
