"""Settings: validated against their definitions, defaults that can move, told to those who may know."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from classbase.database.loader import modules
from classbase.database.statements import execute_file
from tests.support.calls import refused
from tests.support.rest import Rest
from tests.support.world import World

Db = psycopg.Connection[Any]

WRONG = {
    "page_size": ["10", 0, 1001, 1.5, True, None, [10], {}],
    "organisation_name": [5, True, ["x"], "x" * 1001],
    "organisation_time_zone": ["Paris", "EST5EDT", "", 1],
    "availability_policy": ["maybe", "", 0],
    "roles_from_token": ["true", 1],
}


def choose(db: Db, key: str, value: Any) -> None:
    db.execute("update public.settings set value = %s where key = %s", [Jsonb(value), key])


@pytest.mark.parametrize("key", WRONG)
def test_what_does_not_fit_is_refused(db: Db, key: str) -> None:
    for value in WRONG[key]:
        if value is None:
            continue
        with refused("invalid_input") as refusal:
            choose(db, key, value)
        assert refusal.fields == {key}
        assert refusal.details["setting"] == key


def test_a_null_is_the_default(db: Db) -> None:
    choose(db, "page_size", 20)
    assert db.execute("select private.setting_integer('page_size')").fetchone() == (20,)
    for nothing in ("null", None):
        choose(db, "page_size", 20)
        db.execute("update public.settings set value = %s where key = 'page_size'", [nothing])
        row = db.execute(
            "select value, private.setting_integer('page_size') from public.settings where key = 'page_size'"
        )
        assert row.fetchone() == (None, 50)


def test_shipping_again_keeps_what_was_chosen(db: Db) -> None:
    choose(db, "page_size", 20)
    db.execute("update public.settings set description = 'Old words' where key = 'page_size'")
    execute_file(db, modules()[0] / "reference.sql")
    row = db.execute("select value, description from public.settings where key = 'page_size'").fetchone()
    assert row == (20, "Rows a page in lists.")


def test_a_default_that_does_not_fit_cannot_be_shipped(db: Db) -> None:
    with refused("invalid_input") as refusal:
        db.execute("update public.settings set maximum = 10 where key = 'page_size'")
    assert refusal.details["field"] == "default_value"


def test_what_everybody_may_know(rest: Rest, db: Db, world: World) -> None:
    choose(db, "organisation_name", "Lotus")
    config = rest.post("/rpc/app_config").json()
    assert (config["organisation_name"], config["page_size"]) == ("Lotus", 50)
    assert config["version"]
    public = {key for (key,) in db.execute("select key from public.settings where is_public")}
    assert set(config) == public | {"version"}
    assert rest.get("/settings").status_code == 401
    seen = rest.get("/settings?select=key", user=world.user("member")).json()
    assert {row["key"] for row in seen} == public


def test_admins_choose_over_rest(rest: Rest, world: World) -> None:
    admin, manager = world.user("admin"), world.user("manager")
    path = "/settings?key=eq.page_size"
    assert rest.patch(path, {"value": 20}, user=manager).json() == []
    assert rest.patch(path, {"value": 20}, user=admin).json()[0]["value"] == 20
    assert rest.patch(path, {"value": 0}, user=admin).json()["code"] == "invalid_input"
    # The definition is the module's.
    assert rest.patch(path, {"maximum": 5000}, user=admin).status_code == 403
