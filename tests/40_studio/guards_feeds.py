"""What goes wrong without each guard of calendar feeds."""

from __future__ import annotations

from tests.support.calls import refused
from tests.support.guards import guards
from tests.support.stage import Stage

REFUSED = {
    "private.feed_sources.name_is_snake_case": "insert into private.feed_sources (name, module) values ('A b', '40_studio')",
    "public.calendar_feeds.name_is_given": "update public.calendar_feeds set name = ' '",
    "public.calendar_feeds.token_hash_is_sha256": (
        "insert into public.calendar_feeds (name, token_hash) values ('Short', 'abc')"
    ),
}


@guards("public.calendar_feeds.t20_keep_feed")
def a_revoked_feed_stays_revoked(stage: Stage) -> None:
    for change in ("revoked_at = null", "token_hash = repeat('a', 64)"):
        with refused("illegal_transition"), stage.db.transaction():
            stage.db.execute(f"update public.calendar_feeds set {change} where name = 'Revoked'".encode())


@guards("public.calendar_feeds.t20_keep_feed")
def a_feed_shows_what_it_was_made_for(stage: Stage) -> None:
    manager = stage.people["manager"].id
    for change in ("resource_id = null", f"created_by = '{manager}'", "created_by = null"):
        with refused("illegal_transition"), stage.db.transaction():
            stage.db.execute(f"update public.calendar_feeds set {change} where name = 'Another''s own'".encode())
