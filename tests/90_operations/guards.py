"""What fails once a guard of operations is gone."""

from __future__ import annotations

from tests.support.guards import guards
from tests.support.stage import Stage

REFUSED = {
    "public.fix_runs.counts_are_not_below_zero": "update public.fix_runs set remaining = -1",
}


@guards("public.user_profiles.t60_forget_images")
def the_erased_leave_no_image(stage: Stage) -> None:
    """What somebody's row was like before a repair goes with them."""
    person = stage.people["member"]
    stage.db.execute(
        "update private.fix_changes set before = jsonb_build_object('profile_id', %s::uuid)", [person.profile_id]
    )
    stage.db.execute("select public.erase_person(%s, 'Asked for it.')", [person.profile_id])
    assert stage.db.execute("select count(*) from private.fix_changes").fetchone() == (0,)
    assert stage.db.execute("select count(*) from public.fix_runs where forgotten_at is not null").fetchone() == (1,)
