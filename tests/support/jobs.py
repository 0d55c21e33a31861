"""Jobs of a test's own, a clock that is set by hand, and what came of them."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from tests.support.calls import call
from tests.support.server import Database


class Jobs:
    """The only jobs that are due are those of the test; the clock stands at one moment until it is set to another.

    It stands first at Monday, 2 March 2026, a minute after midnight (UTC).
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.db = database.connect()
        self.db.execute("create table private.test_log (job text, backend integer default pg_backend_pid())")
        self.at("2026-03-02 00:01Z")
        self.db.execute("update public.scheduled_jobs set is_active = false")

    def at(self, moment: str) -> None:
        """Sets the clock."""
        self.db.execute(
            sql.SQL(
                "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
                "return {}::timestamptz"
            ).format(moment)
        )

    def add(self, name: str, cron: str, then: str = "") -> None:
        """A job that writes its name to private.test_log, and then does something, in plpgsql."""
        self._define(name, then)
        self.db.execute(
            "insert into public.scheduled_jobs (name, module, cron, command, description) "
            "values (%s, 'test', %s, %s, 'Of a test.')",
            [name, cron, f"private.test_{name}"],
        )

    def mend(self, name: str) -> None:
        """Has a job do nothing more than write its name."""
        self._define(name, "")

    def _define(self, name: str, then: str) -> None:
        self.db.execute(
            f"create or replace function private.test_{name}() returns integer language plpgsql security definer "
            f"set search_path = '' as $$ begin insert into private.test_log (job) values ('{name}'); {then} "
            "return 1; end $$".encode()
        )

    def change(self, name: str, what: str) -> None:
        """Updates a job."""
        self.db.execute(f"update public.scheduled_jobs set {what} where name = %s".encode(), [name])

    def run(self, **arguments: Any) -> list[dict[str, Any]]:
        """Runs what is due; the runs."""
        return call(self.db, None, "run_due_jobs", **arguments)

    def count(self, name: str) -> int:
        """How often a job did its work."""
        row = self.db.execute("select count(*) from private.test_log where job = %s", [name]).fetchone()
        assert row is not None
        return int(row[0])

    def alerts(self) -> set[str]:
        """The jobs that alerts of failure are open for."""
        rows = self.db.execute("select subject from public.alerts where kind = 'job_failed' and resolved_at is null")
        return {subject for (subject,) in rows}

    def findings(self, check: str) -> list[tuple[str, str]]:
        """Entity and message of what a check finds."""
        return [(f["entity_id"], f["message"]) for f in call(self.db, None, "run_diagnostics", p_checks=[check])]
