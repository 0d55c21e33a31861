"""A fix and its undo on stage, with an image, and one that a transaction is at."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """What apply_fixes and undo_fix write."""
    fix = world.insert("public.fix_runs", check_name="claims_missing", faults=1, fixed=1, applied_by=people["admin"].id)
    world.insert("public.fix_runs", check_name="claims_missing", faults=1, remaining=1, undoes=fix.id)
    world.insert("private.fix_changes", fix_id=fix.id, table_name="claims", row_key="{}", after="{}")
    world.insert("private.open_fixes", fix_id=fix.id)
