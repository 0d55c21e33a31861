"""`classbase status`: how the local backend is."""

from __future__ import annotations

from dataclasses import asdict

import typer

from classbase.cli.options import JsonOption, ProjectDirOption
from classbase.cli.output import OK, PROBLEMS, Output
from classbase.cli.up import show


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("status")(status)


def status(project_dir: ProjectDirOption = None, as_json: JsonOption = False) -> None:
    """Show whether the local backend is up and healthy, and its addresses and keys.

    The exit code is 0 when it is healthy and 1 when it is not.
    """
    from classbase.embedded.project import Project
    from classbase.embedded.status import read_status

    out = Output(as_json=as_json)
    found = read_status(Project.find(project_dir))
    if as_json:
        out.json(asdict(found))
    else:
        show(out, asdict(found))
        if not found.healthy:
            out.notice("It is not up. Run `classbase up`." if found.pid is None else "It is not healthy yet.")
    raise typer.Exit(OK if found.healthy else PROBLEMS)
