"""`classbase selftest`: probes on a live system, over REST, that leave nothing behind.

What is written is a class type that is not offered, under a name nobody else would choose; it is deleted at the end,
whatever happened meanwhile.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx
import typer
from rich.text import Text

from classbase.cli.options import (
    TARGET,
    DbUrlOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, CommandError, Output, printable

TABLE = "/class_types"
# What nobody may read who has not signed in; and what a member may not, but for the rows this column says are theirs.
PRIVATE_TABLES = {"bookings": None, "user_profiles": None, "payments": None, "findings": None, "alerts": None}
TABLES_OF_OTHERS = {
    "bookings": "user_id",
    "user_profiles": "user_id",
    "fix_runs": None,
    "findings": None,
    "alerts": None,
}


@dataclass(frozen=True)
class Probe:
    """What one probe saw. `ok` is None when it was not made, and `detail` says why, or what went wrong."""

    name: str
    ok: bool | None
    milliseconds: float
    detail: str = ""


class ProbeFailed(Exception):
    """The system did not do what it must."""


@dataclass
class Selftest:
    """The probes.

    Args:
        rest: a client whose base is where the tables are.
        key: the service key.
        anon_key: what somebody has who has not signed in; none sends no token.
        member: a token of somebody signed in who holds no role.
    """

    rest: httpx.Client
    key: str
    anon_key: str | None = None
    member: str | None = None
    probes: list[Probe] = field(default_factory=list)
    name: str = field(default_factory=lambda: f"classbase selftest {uuid.uuid4()}")

    def run(self, tell: Callable[[Probe], None] = lambda probe: None) -> list[Probe]:
        """Makes every probe, one after the other; `tell` hears of each as it ends."""
        self._tell = tell
        try:
            with self._probe("REST answers"):
                self._ok(self._service("POST", "/rpc/app_config", json={}))
            if self.probes[-1].ok:
                self._writing()
                self._refusing()
                self._isolation()
        finally:
            with self._probe("nothing is left behind"):
                self._ok(self._service("DELETE", TABLE, params=self._ours()))
                if self._rows(self._service("GET", TABLE, params=self._ours())):
                    raise ProbeFailed(f"class types called {self.name} are still there")
        return self.probes

    def _writing(self) -> None:
        row: dict[str, Any] = {}
        with self._probe("a row is created"):
            made = self._service("POST", TABLE, json={"name": self.name, "is_active": False})
            row = self._rows(made)[0]
            if row["name"] != self.name or row["version"] != 1:
                raise ProbeFailed(f"it came back as {row}")
        if not row:
            return
        one = {"id": f"eq.{row['id']}"}
        with self._probe("it is read"):
            if self._rows(self._service("GET", TABLE, params=one)) != [row]:
                raise ProbeFailed("it is not as it was written")
        with self._probe("it is changed, and its version with it"):
            changed = self._rows(self._service("PATCH", TABLE, params=one, json={"max_participants": 3, "version": 1}))
            if [(each["max_participants"], each["version"]) for each in changed] != [(3, 2)]:
                raise ProbeFailed(f"it became {changed}")
        with self._probe("a stale version is refused"):
            self._refused(
                self._service("PATCH", TABLE, params=one, json={"max_participants": 4, "version": 1}),
                "stale_version",
                409,
            )
        with self._probe("half a request is none: two rows, the second of which is wrong"):
            two = [
                {"name": f"{self.name} half", "is_active": False, "max_participants": 1},
                {"name": f"{self.name} half too", "is_active": False, "max_participants": -1},
            ]
            answer = self._service("POST", TABLE, json=two)
            if answer.status_code < 400:
                raise ProbeFailed("the wrong row was taken")
            if len(self._rows(self._service("GET", TABLE, params=self._ours()))) != 1:
                raise ProbeFailed("the first row stayed")
        with self._probe("it is deleted"):
            self._rows(self._service("DELETE", TABLE, params=one))
            if self._rows(self._service("GET", TABLE, params=one)):
                raise ProbeFailed("it is still there")

    def _refusing(self) -> None:
        with self._probe("an error says what is wrong, and what to do"):
            body = self._refused(
                self._service("POST", "/rpc/run_diagnostics", json={"p_checks": ["nonsense"]}), "not_found", 404
            )
            if {"code", "message", "details", "hint"} - set(body) or "nonsense" not in body["message"]:
                raise ProbeFailed(f"it says {body}")
        with self._probe("a call with a key does its work once"):
            # A dry run of a check that is asked for one thing there is not: it changes nothing, whatever is wrong here.
            call = {
                "p_checks": ["horizons_late"],
                "p_dry_run": True,
                "p_entity_ids": ["selftest"],
                "p_idempotency_key": self.name,
            }
            first, again = (self._ok(self._service("POST", "/rpc/apply_fixes", json=call)).json() for _ in range(2))
            if first != again:
                raise ProbeFailed("the second answer is another")
            other = {**call, "p_entity_ids": ["another"]}
            self._refused(self._service("POST", "/rpc/apply_fixes", json=other), "idempotency_mismatch", 422)

    def _isolation(self) -> None:
        with self._probe("whoever has not signed in reads nothing private"):
            self._sees_nothing(self.anon_key, PRIVATE_TABLES)
        with self._probe("whoever has not signed in writes nothing"):
            self._writes_nothing(self.anon_key)
        if self.member is None:
            why = "no token of a plain member: say --member-token"
            for name in ("a plain member reads nothing of others", "a plain member writes nothing"):
                self._add(Probe(name, None, 0, why))
            return
        with self._probe("a plain member reads nothing of others"):
            self._sees_nothing(self.member, TABLES_OF_OTHERS)
        with self._probe("a plain member writes nothing"):
            self._writes_nothing(self.member)

    def _sees_nothing(self, token: str | None, tables: Mapping[str, str | None]) -> None:
        for table, owner in tables.items():
            of_others = {owner: f"neq.{_subject(token)}"} if owner else {}
            answer = self._as(token, "GET", f"/{table}", params={"limit": "1", **of_others})
            if answer.status_code not in (200, 401, 403) or (answer.status_code == 200 and answer.json()):
                raise ProbeFailed(f"{table} answers {answer.status_code}{' with rows' * (answer.status_code == 200)}")

    def _writes_nothing(self, token: str | None) -> None:
        answer = self._as(token, "POST", TABLE, json={"name": f"{self.name} intruder", "is_active": False})
        if answer.status_code not in (401, 403):
            raise ProbeFailed(f"a class type was taken, with {answer.status_code}")
        answer = self._as(token, "POST", "/rpc/run_diagnostics", json={})
        if answer.status_code not in (401, 403):
            raise ProbeFailed(f"diagnosis may be run, with {answer.status_code}")

    def _service(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._as(self.key, method, path, **options)

    def _as(self, token: str | None, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Prefer": "return=representation"}
        if token is not None:
            # A hosted project wants to know itself by its own key, whoever asks.
            headers |= {"apikey": self.anon_key or self.key, "Authorization": f"Bearer {token}"}
        return self.rest.request(method, path, headers=headers, **options)

    def _ours(self) -> dict[str, str]:
        return {"name": f"like.{self.name}*"}

    @staticmethod
    def _ok(answer: httpx.Response) -> httpx.Response:
        if answer.status_code >= 400:
            raise ProbeFailed(f"it answers {answer.status_code}: {answer.text[:300]}")
        return answer

    def _rows(self, answer: httpx.Response) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ok(answer).json()
        return found

    @staticmethod
    def _refused(answer: httpx.Response, code: str, status: int) -> dict[str, Any]:
        body: dict[str, Any] = answer.json() if answer.status_code >= 400 else {}
        if (answer.status_code, body.get("code")) != (status, code):
            raise ProbeFailed(
                f"it should be refused with {status} {code}, and is answered {answer.status_code} {answer.text[:200]}"
            )
        return body

    @contextmanager
    def _probe(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        reason = None
        try:
            yield
        except ProbeFailed as failed:
            reason = str(failed)
        except (httpx.HTTPError, json.JSONDecodeError, KeyError, IndexError) as error:
            reason = f"no sensible answer: {error!r}"
        self._add(Probe(name, reason is None, (time.monotonic() - started) * 1000, reason or ""))

    def _add(self, probe: Probe) -> None:
        self.probes.append(probe)
        self._tell(probe)


def _subject(token: str | None) -> str:
    """Whose token it is, which only the server can verify."""
    try:
        payload = str(token).split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])
    except (IndexError, ValueError, KeyError) as error:
        raise ProbeFailed("the member's token is none: it names nobody") from error


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("selftest")(selftest)


def selftest(
    anon_key: Annotated[
        str | None,
        typer.Option(
            "--anon-key",
            envvar="SUPABASE_ANON_KEY",
            metavar="KEY",
            rich_help_panel=TARGET,
            help="The key of whoever has not signed in.",
        ),
    ] = None,
    member_token: Annotated[
        str | None,
        typer.Option(
            "--member-token",
            envvar="CLASSBASE_MEMBER_TOKEN",
            metavar="TOKEN",
            rich_help_panel=TARGET,
            help="The access token of somebody who holds no role; made by itself for the local backend.",
        ),
    ] = None,
    rest_path: Annotated[
        str, typer.Option("--rest-path", metavar="PATH", help='Where REST is below the URL; "" for a bare PostgREST.')
    ] = "/rest/v1",
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Try a live system over REST: create, read, change, delete, roll back, refuse, and keep people apart.

    Nothing stays but the remembered answer to one call with a key, which is forgotten after idempotency_days.
    Exit codes: 0 all is well, 1 a probe failed, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    target = resolve_target(url, key, db_url, project_dir)
    base, service_key = target.rest()
    if target.local:
        from classbase.embedded import tokens
        from classbase.embedded.project import Project

        settings = Project.find(project_dir).settings()
        anon_key = anon_key or settings.anon_key
        stranger = {
            "sub": str(uuid.uuid4()),
            "role": "authenticated",
            "aud": "authenticated",
            "exp": int(time.time()) + 600,
        }
        member_token = member_token or tokens.sign(stranger, settings.jwt_secret)

    def tell(probe: Probe) -> None:
        if as_json:
            return
        mark = {True: "✅", False: "❌", None: "➖"}[probe.ok]
        line = Text(f"{mark} {probe.name:<68}")
        line.append(f"{probe.milliseconds:8.0f} ms" if probe.ok is not None else "        –", "dim")
        out.stdout.print(line, soft_wrap=True)
        if probe.detail:
            out.stdout.print(
                Text(f"     {printable(probe.detail)}", "yellow" if probe.ok is None else "red"), soft_wrap=True
            )

    with httpx.Client(base_url=f"{base}{rest_path}", timeout=30) as rest:
        probes = Selftest(rest, service_key, anon_key, member_token).run(tell)
    failed = sum(probe.ok is False for probe in probes)
    if as_json:
        out.json({"ok": not failed, "probes": [vars(probe) for probe in probes]})
    else:
        colour = "bold red" if failed else "bold green"
        made = [probe for probe in probes if probe.ok is not None]
        said = f"{failed} of {len(made)} probes failed." if failed else f"All {len(made)} probes are well."
        out.stdout.print(Text(said, colour))
    if not probes[0].ok:
        raise CommandError(f"{base} does not answer.", "Is the address right, and the backend up?", code="unreachable")
    raise typer.Exit(PROBLEMS if failed else OK)
