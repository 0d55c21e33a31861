"""A message that is due leaves the local backend by itself: the job finds it, its runner wakes the function."""

from __future__ import annotations

import psycopg

from tests.embedded.conftest import Backend
from tests.support.provider import serve_provider
from tests.support.waiting import until


def test_a_message_leaves_by_itself(backend: Backend) -> None:
    with serve_provider() as provider:
        secrets = backend.directory / "supabase" / "functions" / ".env"
        secrets.parent.mkdir(parents=True)
        secrets.write_text(
            f"DISPATCH_SECRET=swordfish\nEMAIL_URL={provider.address}/emails\nEMAIL_KEY=re_1\nEMAIL_FROM=us@example.org\n"
        )
        up = backend.up()
        with psycopg.connect(up["db_url"], autocommit=True) as db:
            db.execute("update public.settings set value = 'true' where key = 'send_email'")
            row = db.execute(
                "insert into public.outbox (channel, recipient, subject, body, kind) "
                "values ('email', 'guest@example.org', 'News', 'There is news.', 'news') returning id"
            ).fetchone()
            assert row is not None
            # Due at the next full minute by the database's clock; the runner may have to finish what it is at.
            for _ in range(3):
                try:
                    until(lambda: bool(provider.delivered), "the message's leaving")
                    break
                except AssertionError:
                    continue
            assert provider.delivered == {str(row[0]): 1}
            until(lambda: db.execute("select status from public.outbox").fetchone() == ("sent",), "the report of it")
        # By hand, with the secret from the same file.
        done = backend.json("outbox", "dispatch")
        assert (done["sent"], done["channels"]) == (0, ["email"])
        assert "swordfish" not in (backend.directory / ".classbase" / "logs" / "jobs.log").read_text()
