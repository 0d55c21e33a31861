"""up, status, down: what they leave, what they keep, what they survive."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from classbase.embedded.processes import LOOPBACK, alive, free_port
from tests.embedded.conftest import Backend, copy_checkout

NAMED = {"api_url", "rest_url", "functions_url", "anon_key", "service_role_key", "db_url", "pid", "healthy"}


def note(document: dict[str, Any], text: str) -> None:
    with psycopg.connect(document["db_url"], autocommit=True) as conn:
        conn.execute("create table if not exists public.notes (note text)")
        conn.execute("insert into public.notes values (%s)", [text])


def notes(document: dict[str, Any]) -> list[str]:
    with psycopg.connect(document["db_url"]) as conn:
        return [row[0] for row in conn.execute("select note from public.notes order by note")]


def rest_answers(document: dict[str, Any]) -> bool:
    answer = httpx.post(
        f"{document['rest_url']}/rpc/app_config", headers={"apikey": document["anon_key"]}, trust_env=False
    )
    return answer.status_code == 200


def test_up_is_healthy_and_can_be_called_twice(backend: Backend) -> None:
    first = backend.up()
    assert first.keys() >= NAMED
    assert first["healthy"]
    assert not first["already_up"]
    assert first["migrations_applied"]
    assert rest_answers(first)

    again = backend.up()
    assert again["already_up"]
    assert again["migrations_applied"] == []
    assert {name: again[name] for name in NAMED | {"db_pid"}} == {name: first[name] for name in NAMED | {"db_pid"}}
    assert "already up" in backend.run("up").stderr

    done = backend.run("status", "--json")
    assert done.returncode == 0
    assert {name: json.loads(done.stdout)[name] for name in NAMED} == {name: first[name] for name in NAMED}


def test_down_leaves_no_process_behind_and_up_finds_the_data_again(backend: Backend) -> None:
    first = backend.up()
    note(first, "kept")
    assert httpx.get(f"{first['functions_url']}/health", timeout=60, trust_env=False).json()["healthy"]
    names = {process.name() for process in backend.processes()}
    assert {"postgres", "postgrest", "deno"} <= names  # or the next line would prove nothing

    done = backend.run("down")
    assert done.returncode == 0
    assert "postgres" in done.stdout
    assert backend.processes() == []
    assert not alive(first["pid"])
    assert not alive(first["db_pid"])
    assert backend.run("status").returncode == 1
    assert "Nothing was running" in backend.run("down").stdout

    second = backend.up()
    assert notes(second) == ["kept"]
    for name in ("api_url", "db_url", "anon_key", "service_role_key"):
        assert second[name] == first[name]


def test_everything_killed_at_once_comes_back_with_its_data(backend: Backend) -> None:
    first = backend.up()
    note(first, "committed")
    backend.kill_everything()
    assert backend.processes() == []
    assert backend.run("status").returncode == 1

    second = backend.up()
    assert second["healthy"]
    assert not second["already_up"]
    assert notes(second) == ["committed"]
    assert rest_answers(second)


def test_a_killed_postgres_is_started_again_with_its_data(backend: Backend) -> None:
    first = backend.up()
    note(first, "committed")
    psutil.Process(first["db_pid"]).kill()
    assert not backend.status()["healthy"]
    second = backend.up()
    assert second["healthy"]
    assert second["db_pid"] != first["db_pid"]
    assert notes(second) == ["committed"]
    assert rest_answers(second)


def test_a_killed_gateway_is_replaced_and_what_it_had_started_is_ended(backend: Backend) -> None:
    first = backend.up()
    orphan = next(process for process in backend.processes() if process.name() == "postgrest")
    psutil.Process(first["pid"]).kill()
    assert orphan.is_running()

    second = backend.up()
    assert second["healthy"]
    assert second["pid"] != first["pid"]
    assert second["db_pid"] == first["db_pid"]
    assert not alive(orphan.pid)


def test_a_killed_postgrest_is_started_again(backend: Backend) -> None:
    up = backend.up()
    victim = next(process for process in backend.processes() if process.name() == "postgrest")
    victim.kill()
    assert backend.up()["healthy"]
    assert rest_answers(up)


def test_pid_files_that_name_somebody_else_are_not_believed(backend: Backend) -> None:
    """After a reboot the pids in the files belong to other programs, which must not be taken for ours or ended."""
    up = backend.up()
    note(up, "before the reboot")
    backend.kill_everything()
    state = backend.directory / ".classbase"
    pid_file = state / "postgres-18" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    running = json.loads((state / "running.json").read_text())
    for entry in running:
        entry["pid"] = os.getpid()
    (state / "running.json").write_text(json.dumps(running))

    assert backend.run("status").returncode == 1
    again = backend.up()  # and this test is still alive
    assert notes(again) == ["before the reboot"]


def test_taken_ports_are_left_to_whoever_has_them_and_the_others_remembered(backend: Backend) -> None:
    first = backend.up()
    backend.run("down")
    ports = [int(first["api_url"].rsplit(":", 1)[1]), int(first["db_url"].rsplit(":", 1)[1].split("/")[0])]
    with closing(socket.create_server((LOOPBACK, ports[0]))), closing(socket.create_server((LOOPBACK, ports[1]))):
        done = backend.run("up", "--json")
        moved = json.loads(done.stdout)
        assert moved["healthy"]
        assert str(ports[0]) not in moved["api_url"]
        assert str(ports[1]) not in moved["db_url"]
        assert done.stderr.count("is taken") == 2
    backend.run("down")
    assert backend.up()["api_url"] == moved["api_url"]


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(backend: Backend) -> None:
    taken = free_port()
    with closing(socket.create_server((LOOPBACK, taken))):
        done = backend.run("up", "--port", str(taken), "--db-port", str(free_port()))
        assert done.returncode == 3
        assert f"Port {taken} is in use" in done.stderr
        assert "next:" in done.stderr
        assert backend.processes() == []  # Postgres, started for it, was stopped again


def test_other_ports_can_be_asked_for_while_it_is_up(backend: Backend) -> None:
    first = backend.up()
    port = free_port()
    moved = backend.json("up", "--port", str(port))
    assert moved["api_url"] == f"http://{LOOPBACK}:{port}"
    assert rest_answers(moved)
    with pytest.raises(httpx.ConnectError):
        httpx.get(first["api_url"], trust_env=False)


def test_secrets_are_random_and_for_their_owner_only(new_backend: Callable[[], Backend]) -> None:
    one, other = new_backend(), new_backend()
    up, second = one.up(), other.up()
    for name in ("anon_key", "service_role_key"):
        assert up[name] != second[name]
    assert up["db_url"].split(":")[2].split("@")[0] != second["db_url"].split(":")[2].split("@")[0]
    headers = {"apikey": second["service_role_key"]}
    strange = httpx.get(f"{up['rest_url']}/settings", headers=headers, trust_env=False)
    assert strange.status_code == 401

    state = one.directory / ".classbase"
    assert stat.S_IMODE((state / "project.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((state / "logs").stat().st_mode) == 0o700
    assert stat.S_IMODE(state.stat().st_mode) & 0o066 == 0
    assert (state / ".gitignore").read_text() == "*\n"
    kept = json.loads((state / "project.json").read_text())
    secrets = [value for name, value in kept.items() if name.endswith(("_secret", "_password", "_key"))]
    assert len(secrets) == 6
    words = " ".join(word for process in one.processes() for word in process.cmdline())
    assert not [secret for secret in secrets if secret in words]  # anybody may read a command line


def test_the_database_wants_its_password(backend: Backend) -> None:
    up = backend.up()
    password = up["db_url"].split(":")[2].split("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(up["db_url"].replace(password, "wrong"))
    socket_dir = backend.directory / ".classbase" / "postgres-18"
    assert stat.S_IMODE(socket_dir.stat().st_mode) & 0o077 == 0


def test_nothing_listens_beyond_loopback(backend: Backend) -> None:
    up = backend.up()
    httpx.get(f"{up['functions_url']}/health", timeout=60, trust_env=False)
    listening = [
        (process.name(), connection.laddr.ip)
        for process in backend.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {"postgres", "postgrest", "deno"} <= {name for name, _ in listening}
    assert {address for _, address in listening} == {LOOPBACK}


def test_sample_people_can_sign_in_and_the_data_is_loaded_once(backend: Backend) -> None:
    up = backend.up("--sample")
    assert up["sample_loaded"]
    people = {person["email"].split("@")[0]: person for person in up["sample_users"]}
    assert people.keys() == {"admin", "manager", "instructor", "staff", "member"}
    with httpx.Client(base_url=up["api_url"], headers={"apikey": up["anon_key"]}, trust_env=False) as client:
        for role, person in people.items():
            headers = {"Authorization": f"Bearer {person['access_token']}"}
            mine = client.post("/rest/v1/rpc/current_access", headers=headers, json={}).json()
            assert role in mine[0]["roles"]
            body = {"email": person["email"], "password": person["password"]}
            assert client.post("/auth/v1/token?grant_type=password", json=body).status_code == 200
    assert len({person["password"] for person in people.values()}) == 1

    again = backend.up("--sample")
    assert not again["sample_loaded"]
    assert [person["email"] for person in again["sample_users"]] == [person["email"] for person in up["sample_users"]]
    with psycopg.connect(up["db_url"]) as conn:
        assert conn.execute("select count(*) from public.locations").fetchone() == (2,)
    shown = backend.run("up", "--sample")
    assert people["admin"]["password"] in shown.stdout


def test_destroy_asks_first_and_then_removes_everything(backend: Backend) -> None:
    up = backend.up()
    state = backend.directory / ".classbase"
    done = backend.run("down", "--destroy")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert backend.status()["healthy"]

    preview = backend.json("down", "--destroy", "--dry-run")
    assert "gateway" in preview["would_stop"]
    assert "postgres" in preview["would_stop"]
    assert preview["would_remove"] == [str(state)]
    assert backend.status()["pid"] == up["pid"]

    assert backend.json("down", "--destroy", "--yes")["removed"] == [str(state)]
    assert not state.exists()
    assert backend.processes() == []
    fresh = backend.up()
    assert fresh["anon_key"] != up["anon_key"]


def test_a_failing_migration_leaves_nothing_running(backend: Backend, tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path, node_modules=True)
    (checkout / "supabase" / "migrations" / "29990101000000_wrong.sql").write_text("select 1;\nselect from nowhere;\n")
    ports = ["--port", str(free_port()), "--db-port", str(free_port())]
    done = backend.run("up", *ports, PYTHONPATH=str(checkout / "client"))
    assert done.returncode == 3
    assert "29990101000000_wrong.sql" in done.stderr
    assert "Traceback" not in done.stderr
    assert backend.processes() == []
