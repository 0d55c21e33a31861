"""free_slots against a plain model, around the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.free_time import (
    CHANGES,
    MINUTE,
    ZONES,
    Hours,
    Model,
    Scene,
    day_start,
    model_slots,
    set_zone,
)

quarters = st.integers(0, 96).map(lambda n: n * 15)


offsets = st.integers(-60, 400).map(lambda n: n * 15)  # minutes from the first day's midnight UTC: about four days


@st.composite
def hours_of(draw: st.DrawFn, first_day: date) -> Hours:
    start, end = sorted((draw(quarters.filter(lambda n: n < 1440)), draw(quarters)))
    since = first_day + timedelta(days=draw(st.integers(-9, 3)))
    until = draw(st.none() | st.integers(1, 12))
    return Hours(
        draw(st.integers(0, 6)), start, max(end, start + 15), draw(st.sampled_from(ZONES)), since,
        None if until is None else since + timedelta(days=until),
    )  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_the_model_agrees(scene: Scene, data: st.DataObject) -> None:
    draw = data.draw
    zone = draw(st.sampled_from(ZONES), "organisation")
    first_day = draw(st.sampled_from([day for days in CHANGES.values() for day in days]), "around")
    midnight = datetime.combine(first_day, time(), UTC)
    first = midnight + draw(offsets, "from") * MINUTE
    last = first + draw(st.integers(1, 6 * 96), "window") * 15 * MINUTE
    models = {resource: Model(is_person=resource in scene.people) for resource in scene.everybody}
    asked = draw(st.lists(st.sampled_from(scene.everybody), min_size=1, max_size=4), "asked")  # a double is no more
    with scene.db.transaction(force_rollback=True):
        set_zone(scene.db, zone)
        for resource in draw(st.lists(st.sampled_from(asked), max_size=12), "hours"):
            rule = draw(hours_of(first_day))
            if not any(rule.clashes(other) for other in models[resource].hours):
                models[resource].hours.append(rule)
                scene.add_hours(resource, rule)
        for resource in draw(st.lists(st.sampled_from(scene.everybody), max_size=5), "meetings"):
            begins = midnight + draw(offsets) * MINUTE
            ends = begins + draw(st.integers(1, 40)) * 15 * MINUTE
            if not any(a < ends and begins < b for a, b in models[resource].busy):
                models[resource].busy.append((begins, ends))
                scene.add_meeting([resource], begins, ends)
        for resource in draw(st.lists(st.sampled_from(asked), max_size=3), "time off"):
            begins = midnight + draw(offsets) * MINUTE
            ends = begins + draw(st.integers(1, 150)) * 15 * MINUTE
            status = draw(st.sampled_from(("approved", "approved", "requested", "refused", "cancelled")))
            scene.add_time_off(resource, begins, ends, status)
            if status == "approved":
                models[resource].busy.append((begins, ends))
        if draw(st.booleans(), "a closure"):
            where = draw(st.sampled_from((None, scene.place)))
            starts_on = first_day + timedelta(days=draw(st.integers(-1, 5)))
            ends_on = starts_on + timedelta(days=draw(st.integers(0, 1)))
            scene.db.execute(
                "insert into public.closures (name, starts_on, ends_on, location_id) values ('Closed', %s, %s, %s)",
                [starts_on, ends_on, where],
            )
            shut = (day_start(starts_on, zone), day_start(ends_on + timedelta(days=1), zone))
            for resource in scene.everybody if where is None else [scene.place]:
                models[resource].busy.append(shut)
        duration = draw(st.sampled_from((15, 30, 50, 60, 180, 1500)), "duration")
        step = draw(st.none() | st.sampled_from((15, 25, 30, 60, 420, 1440)), "step")
        respect = draw(st.booleans(), "respect")
        found = scene.slots(
            asked, first, last, duration, p_step=None if step is None else step * MINUTE,
            p_respect_availability=respect, p_limit=5000,
        )  # fmt: skip
    wanted = model_slots(
        [models[resource] for resource in asked], first, last, duration, step or min(duration, 1440), zone,
        respect=respect,
    )  # fmt: skip
    assert found == wanted
