"""PostgREST and Deno come from npm: in a checkout by `npm ci`, elsewhere into the project's `.classbase/`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

from classbase import backend_files
from classbase.embedded import binaries
from classbase.embedded.project import Project

Notice = Callable[[str], None]


def missing_parts(project: Project) -> list[str]:
    """The programs for REST and functions that are not on this machine."""
    parts = {"PostgREST": binaries.postgrest(project.directory), "Deno": binaries.deno(project.directory)}
    return [name for name, program in parts.items() if program is None]


def provide_node_parts(project: Project, *, install: bool, notice: Notice) -> list[str]:
    """Installs what is missing with npm, when it may and can; returns what is missing afterwards.

    Args:
        project: whose `.classbase/node_modules` to fill.
        install: False installs nothing.
        notice: is told, in a sentence, what is done or cannot be done.
    """
    missing = missing_parts(project)
    if not missing:
        return []
    what = " and ".join(missing)
    npm = binaries.npm()
    if npm is None:
        notice(f"{what}: not here, and neither is Node.js. REST and functions are left out; everything else works.")
        return missing
    if not install:
        notice(f"{what}: not installed (--no-install). REST and functions are left out; everything else works.")
        return missing
    notice(f"{what}: not installed yet; installing with npm into {project.state / 'node_modules'} ...")
    for name in ("package.json", "package-lock.json"):
        source = backend_files.package_json().with_name(name)
        if source.exists():
            shutil.copy(source, project.state / name)
    # Only what runs (no schema tools), exactly as locked, and no package's own install script.
    command = [npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=project.state, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or "npm gave no reason").splitlines()
        notice("npm could not install them; REST and functions are left out. It said: " + " / ".join(reason[:6]))
    return missing_parts(project)
