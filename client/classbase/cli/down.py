"""`classbase down`: stops the local backend, and with `--destroy` removes it."""

from __future__ import annotations

from typing import Annotated

import typer

from classbase.cli.options import DryRunOption, JsonOption, ProjectDirOption, QuietOption, YesOption
from classbase.cli.output import Output


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("down")(down)


def down(
    destroy: Annotated[
        bool, typer.Option("--destroy", help="Also remove the data, the keys and the logs. There is no way back.")
    ] = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Stop the local backend; its data stays for the next `classbase up`."""
    from classbase.embedded import backend
    from classbase.embedded.project import Project
    from classbase.embedded.status import read_status

    out = Output(as_json=as_json, quiet=quiet)
    project = Project.find(project_dir)
    if dry_run:
        running = [process.name for process in project.running() if process.is_running()]
        if read_status(project).db_pid is not None:
            running.append("postgres")
        out.pairs(
            {"would_stop": running, "would_remove": [project.state] if destroy and project.state.exists() else []}
        )
        return
    removed = []
    if destroy and project.state.exists():
        out.confirm(f"Remove {project.state} with all its data?", yes=yes)
        external = project.settings().external_db_url if project.exists() else None
        stopped = backend.down(project)
        removed = backend.destroy(project)
        if external is not None:
            out.notice("The database of --db-url was not touched.")
    else:
        stopped = backend.down(project)
    if as_json:
        out.json({"stopped": stopped, "removed": removed})
        return
    out.text("Stopped: " + ", ".join(stopped) + "." if stopped else "Nothing was running.")
    if removed:
        out.text(f"Removed {removed[0]}.")
