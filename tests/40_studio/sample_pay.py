"""Rates, frozen pay and pay periods on stage: the instructor's, and somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """Each of two instructors has rates and classes at them; of the periods of last year one is closed, one was."""
    db = world.db
    manager = people["manager"].id
    [(today,)] = db.execute("select private.today()").fetchall()
    pilates = world.insert("public.class_types", name="Pilates").id
    for number, instructor in enumerate((people["instructor"], world.user("instructor", full_name="Pia Paid"))):
        for rate, class_type in ((40, None), (50, pilates)):
            world.insert(
                "public.instructor_rates",
                instructor_id=instructor.profile_id,
                class_type_id=class_type,
                rate=rate + number,
                effective_from="2000-01-01",
                created_by=manager,
            )
        for days, status in ((400, "paid"), (395, "paid"), (350, "pending"), (300, "pending")):
            row = world.insert(
                "public.class_assignments",
                instructor_id=instructor.profile_id,
                class_type_id=pilates,
                date=today - timedelta(days=days),
                class_status="completed",
                payment_status=status,
            )
            if days == 395:
                db.execute("select private.archive_classes(%s)", [[row.id]])
    for name, since, until in (("Closed", 420, 380), ("Reopened", 370, 330), ("Never closed", 320, 310)):
        db.execute(
            "insert into public.pay_periods (name, starts_on, ends_on, created_by) values (%s, %s, %s, %s)",
            [name, today - timedelta(days=since), today - timedelta(days=until), manager],
        )
        for kind in {"Closed": ("closed",), "Reopened": ("closed", "reopened")}.get(name, ()):
            db.execute(
                "insert into public.pay_period_events (pay_period_id, kind, reason, recorded_by) "
                "select p.id, %s, 'The month is over.', %s from public.pay_periods p where p.name = %s",
                [kind, manager, name],
            )
