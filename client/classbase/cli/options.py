"""The options that commands share, and which backend they speak to.

Three kinds of target: the local backend of this directory (the default), a remote project (`--url`, `--key`), a
database (`--db-url`). What the command line says wins; when it says nothing the environment does; when that says
nothing either, the local backend is meant.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from classbase.cli.output import CommandError

TARGET = "Which backend"

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No notices, only results and errors.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="A Supabase project's URL (or SUPABASE_URL).", rich_help_panel=TARGET, metavar="URL"),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key", help="Its service role key (or SUPABASE_SERVICE_ROLE_KEY).", rich_help_panel=TARGET, metavar="KEY"
    ),
]
DbUrlOption = Annotated[
    str | None,
    typer.Option("--db-url", help="A Postgres URL (or DATABASE_URL).", rich_help_panel=TARGET, metavar="URL"),
]
ProjectDirOption = Annotated[
    Path | None,
    typer.Option(
        "--project-dir",
        help="The directory of the local backend; found from the current one by default.",
        rich_help_panel=TARGET,
        file_okay=False,
        metavar="DIR",
    ),
]


@dataclass(frozen=True)
class Target:
    """What a command speaks to. `url` and `key` are set for REST, `db_url` for direct connections, or both."""

    url: str | None = None
    key: str | None = None
    db_url: str | None = None
    local: bool = False

    def database(self) -> str:
        """The database's URL.

        Raises:
            CommandError: only a REST address was given.
        """
        if self.db_url is None:
            raise CommandError("This needs a direct connection to the database.", "Say --db-url.", code="no_database")
        return self.db_url

    def rest(self) -> tuple[str, str]:
        """The project's URL (without /rest/v1) and the key.

        Raises:
            CommandError: only a database was given, or the key is missing.
        """
        if self.url is None:
            raise CommandError("This needs the project's REST address.", "Say --url and --key.", code="no_url")
        if self.key is None:
            hint = "Say --key, or set SUPABASE_SERVICE_ROLE_KEY."
            raise CommandError("This needs the project's key.", hint, code="no_key")
        return self.url, self.key


def resolve_target(
    url: str | None = None, key: str | None = None, db_url: str | None = None, project_dir: Path | None = None
) -> Target:
    """Decides what to speak to, from the shared options' values and the environment.

    Raises:
        CommandError: nothing was said and no local backend is up.
    """
    if url or db_url:
        # A key of the environment may complete a URL of the command line, nothing else is mixed.
        return Target(_stripped(url), key or os.environ.get("SUPABASE_SERVICE_ROLE_KEY") if url else None, db_url)
    if project_dir is None:
        env_url, env_db_url = os.environ.get("SUPABASE_URL"), os.environ.get("DATABASE_URL")
        if env_url or env_db_url:
            return Target(_stripped(env_url), key or os.environ.get("SUPABASE_SERVICE_ROLE_KEY"), env_db_url)
    return local_target(project_dir, key=key)


def local_target(project_dir: Path | None = None, *, key: str | None = None) -> Target:
    """The local backend of a directory (the current one by default).

    Raises:
        CommandError: it is not up.
    """
    from classbase.embedded.project import Project
    from classbase.embedded.status import read_status

    project = Project.find(project_dir)
    status = read_status(project)
    if status.db_url is None or not status.database_running:
        raise CommandError(
            f"No backend is up in {project.directory}.",
            "Run `classbase up`, or say --db-url, or --url and --key.",
            code="not_up",
        )
    return Target(status.api_url, key or status.service_role_key, status.db_url, local=True)


def _stripped(url: str | None) -> str | None:
    return url.rstrip("/") if url else None
