"""Settings, permissions, checks and jobs of 00_platform: who sees and who changes them."""

from __future__ import annotations

import pytest

from tests.support.rest import Rest
from tests.support.world import World

ALL = ("settings", "permissions", "integrity_checks", "scheduled_jobs")


@pytest.mark.parametrize(
    ("role", "sees"),
    [
        ("admin", set(ALL)),
        ("manager", {"permissions", "integrity_checks", "scheduled_jobs"}),
        ("staff", set()),
        ("instructor", set()),
        ("member", set()),
        (None, set()),
    ],
)
def test_who_sees_the_registries(world: World, rest: Rest, role: str | None, sees: set[str]) -> None:
    user = world.user(role)
    whole = {table: len(rest.get(f"/{table}", user="service_role").json()) for table in ALL}
    assert all(whole.values())
    seen = {table: len(rest.get(f"/{table}", user=user).json()) for table in ALL}
    assert {table for table in ALL if seen[table] == whole[table]} == sees
    for table in set(ALL) - sees - {"settings"}:
        assert seen[table] == 0
    public = len(rest.get("/settings?is_public=is.true", user="service_role").json())
    if "settings" not in sees:
        assert 0 < seen["settings"] == public < whole["settings"]
    for table in ALL:
        assert rest.get(f"/{table}").status_code == 401


@pytest.mark.parametrize("role", ["admin", "manager", "staff", "instructor", "member"])
def test_who_changes_settings(world: World, rest: Rest, role: str) -> None:
    user = world.user(role)
    answer = rest.patch("/settings?key=eq.page_size", {"value": 20}, user=user)
    changed = rest.get("/settings?key=eq.page_size&select=value", user="service_role").json()
    if role == "admin":
        assert answer.json()[0]["value"] == 20
        assert changed == [{"value": 20}]
    else:
        assert (answer.status_code, answer.json(), changed) == (200, [], [{"value": None}])
    assert rest.patch("/settings?key=eq.page_size", {"is_public": False}, user=user).status_code == 403
    assert rest.delete("/settings?key=eq.page_size", user=user).status_code == 403
    for table, row in {
        "permissions": {"name": "a:b", "module": "m", "description": "d"},
        "integrity_checks": {"name": "a", "module": "m", "category": "crud", "severity": "info", "description": "d"},
        "scheduled_jobs": {"name": "a", "module": "m", "cron": "* * * * *", "command": "c", "description": "d"},
    }.items():
        assert rest.post(f"/{table}", row, user=user).status_code == 403
        assert rest.delete(f"/{table}?module=eq.10_people", user=user).status_code == 403


def test_a_wrong_setting_is_refused_whoever_sends_it(world: World, rest: Rest) -> None:
    answer = rest.patch("/settings?key=eq.page_size", {"value": 0}, user=world.user("admin"))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
