"""`classbase training certificates`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from classbase.cli.connection import open_client
from classbase.cli.options import (
    DbUrlOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    YesOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, Output
from classbase.cli.training_finding import SessionArgument
from classbase.cli.training_series import CourseArgument, find_course

certificates_app = typer.Typer(name="certificates", help="Certificates of attendance.", no_args_is_help=True)


@certificates_app.command("list")
def standing(
    course: CourseArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List who has what and lacks what for a certificate of a course."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        rows = [row.model_dump() for row in cb.training.certificate_eligibility(find_course(cb, course))]
    columns = {
        "attendee_name": "name",
        "attended": "attended",
        "required": "of",
        "lacking": "lacks",
        "serial": "certificate",
    }
    out.table(rows, columns, empty="Nobody booked this course.")


@certificates_app.command("issue")
def issue(
    session: SessionArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Issue certificates to everybody who attended a session and enough of those that go with it."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        rows = [row.model_dump() for row in cb.training.issue_certificates(session)]
    columns = {"holder_name": "name", "status": "", "serial": "serial", "verification_code": "code", "lacking": "lacks"}
    out.table(rows, columns, empty="Nobody booked this session.")


@certificates_app.command("revoke")
def revoke(
    certificate: Annotated[UUID, typer.Argument(metavar="ID", help="The certificate's id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; strangers are not told.")],
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Revoke a certificate; this cannot be taken back, but another one can be issued."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        out.confirm("Revoke this certificate?", yes=yes)
        [done] = cb.training.revoke_certificate(certificate, reason)
    out.pairs(done.model_dump())


@certificates_app.command("verify")
def verify(
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code on the certificate.")],
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Verify a certificate by its code.

    Exit codes: 0 it is valid, 1 it is not, or there is none, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        found = [row.model_dump() for row in cb.training.verify_certificate(code)]
    if found:
        out.pairs(found[0])
    elif as_json:
        out.json(None)
    else:
        out.text("There is no certificate with this code.")
    raise typer.Exit(OK if found and found[0]["status"] == "valid" else PROBLEMS)
