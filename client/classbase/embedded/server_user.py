"""Postgres refuses to run as root: when we are root, it runs as an ordinary user made for it."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

_NAME = "classbase-postgres"
_SEARCH = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_READ = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True)
class ServerUser:
    """Whom the server runs as; `None` ids mean: as ourselves."""

    uid: int | None = None
    gid: int | None = None

    def owns(self, path: Path) -> None:
        """Gives `path` (a file or one directory) to the server's user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def popen_options(self) -> dict[str, object]:
        """Keyword arguments for `subprocess` that run a program as this user."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def server_user(data_dir: Path) -> ServerUser:
    """The user to run Postgres as: ourselves, unless we are root.

    For root it is whoever owns the data already (who may have made it without being root), else
    `classbase-postgres`, or `nobody` where no user can be added.
    """
    if os.geteuid() != 0:
        return ServerUser()
    if data_dir.exists() and data_dir.stat().st_uid != 0:
        return ServerUser(data_dir.stat().st_uid, data_dir.stat().st_gid)
    entry = _entry(_NAME)
    if entry is None:
        if shutil.which("useradd"):
            # Its failing is no error: another process may be adding the user at this moment.
            command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", _NAME]
            subprocess.run(command, capture_output=True, check=False)
        entry = _entry(_NAME) or pwd.getpwnam("nobody")
    return ServerUser(entry.pw_uid, entry.pw_gid)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def let_reach(path: Path, user: ServerUser) -> list[Path]:
    """Lets the server's user pass through the directories above `path`.

    Only the right to pass is added, not the right to list, and only where it is missing (`/root` is usually the
    one). Returns the directories that were changed.
    """
    changed: list[Path] = []
    if user.uid is None:
        return changed
    for directory in path.resolve().parents:
        mode = directory.stat().st_mode
        if not mode & stat.S_IXOTH and directory.stat().st_uid != user.uid:
            directory.chmod(mode | stat.S_IXOTH)
            changed.append(directory)
    return changed


def let_run(program: Path, install: Path, user: ServerUser) -> list[Path]:
    """Lets the server's user run `program`, whose libraries and data lie under `install`.

    A virtual environment made by root under a strict umask keeps others out; nothing is touched when the
    program runs as it is. Returns the directories above it that were opened.
    """
    if user.uid is None:
        return []
    opened = let_reach(program, user)
    if _runs(program, user):
        return opened
    roots = [install, *install.parent.parent.glob(f"{install.parent.name}.libs")]
    for root in roots:
        for path in (root, *root.rglob("*")):
            mode = path.stat().st_mode
            extra = _SEARCH if path.is_dir() or mode & stat.S_IXUSR else 0
            if (mode | _READ | extra) != mode:
                path.chmod(mode | _READ | extra)
    opened += let_reach(install / "x", user)
    return opened


def _runs(program: Path, user: ServerUser) -> bool:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, check=False, **user.popen_options())  # type: ignore[call-overload]
    except PermissionError:
        return False
    return bool(done.returncode == 0)
