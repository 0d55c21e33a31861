"""`classbase token`: a signed token for the local backend."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from classbase.cli.options import JsonOption, ProjectDirOption
from classbase.cli.output import CommandError, Output, UsageError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("token")(token)


def token(
    role: Annotated[str, typer.Option("--role", help="anon, authenticated or service_role.")] = "authenticated",
    user: Annotated[
        str | None, typer.Option("--user", metavar="EMAIL_OR_ID", help="Whose token; needed for authenticated.")
    ] = None,
    expires: Annotated[str, typer.Option("--expires", metavar="DURATION", help="For instance 15m, 1h or 7d.")] = "1h",
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print an access token, as a sign-in would have given it.

    It works wherever the local backend looks at tokens: as `Authorization: Bearer ...` and as an API key.
    """
    from classbase.embedded import tokens
    from classbase.embedded.minting import user_token
    from classbase.embedded.project import Project
    from classbase.embedded.status import database_url

    out = Output(as_json=as_json)
    if role not in tokens.ROLES:
        raise UsageError(f"There is no role {role!r}.", f"Choose one of {', '.join(tokens.ROLES)}.")
    try:
        seconds = int(tokens.parse_duration(expires).total_seconds())
    except ValueError as error:
        raise UsageError(f"--expires: {error}.") from error
    project = Project.find(project_dir)
    settings = project.settings()
    if role == "authenticated":
        if user is None:
            raise UsageError("A token of a signed-in person needs the person.", "Say --user EMAIL_OR_ID.")
        db_url = database_url(project, settings)
        if db_url is None:
            raise CommandError("The local backend is not up.", "Run `classbase up` first.", code="not_up")
        signed, claims = user_token(db_url, settings, user, seconds)
    else:
        if user is not None:
            raise UsageError(f"{role} is nobody in particular.", "Leave out --user, or say --role authenticated.")
        now = int(time.time())
        claims = {"iss": "supabase", "ref": "classbase", "role": role, "iat": now, "exp": now + seconds}
        signed = tokens.sign(claims, settings.jwt_secret)
    if as_json:
        out.json({"token": signed, "claims": claims})
    else:
        out.text(signed)
