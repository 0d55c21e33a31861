"""The command `classbase`.

A verb is a module of this package with a function `register(app)`; being there is enough.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer

from classbase import cli
from classbase.cli.output import FAILED, CommandError, Output

INTERRUPTED = 130
_HELPERS = frozenset(
    {
        "app",
        "checks",
        "choosing",
        "connection",
        "dispatching",
        "job_runner",
        "naming",
        "options",
        "output",
        "schema",
        "typed",
    }
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"classbase {version('classbase')}")
        raise typer.Exit


def _options(
    show_version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The backend of organisations that run classes: local backend, administration, diagnosis.

    Commands speak to the local backend of this directory, to a Supabase project (--url, --key, or SUPABASE_URL and
    SUPABASE_SERVICE_ROLE_KEY), or to a database (--db-url, or DATABASE_URL).

    Exit codes: 0 fine, 1 problems found, 2 wrong usage, 3 could not run.
    """


def build_app(verb: str | None = None) -> typer.Typer:
    """The application: with every command, or with the module of one verb only, which starts much faster."""
    app = typer.Typer(
        name="classbase",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in [verb] if verb is not None else command_modules():
        register = getattr(importlib.import_module(f"{cli.__name__}.{name}"), "register", None)
        if register is not None:
            register(app)
    return app


def command_modules() -> list[str]:
    """The modules of this package, of which those with a `register` hold commands."""
    return sorted(found.name for found in pkgutil.iter_modules(cli.__path__) if found.name not in _HELPERS)


def _only_verb(arguments: list[str]) -> str | None:
    """The module that holds the verb the command line begins with, or None when all are needed to understand it."""
    verb = arguments[0].replace("-", "_") if arguments else ""
    completing = "_CLASSBASE_COMPLETE" in os.environ
    return verb if verb in command_modules() and not completing else None


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with one of the exit codes 0 to 3 (130 when interrupted)."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Runs the command line on `arguments` and returns the exit code; expected errors become a sentence on stderr."""
    out = Output(as_json="--json" in arguments)
    try:
        code = build_app(_only_verb(arguments))(args=arguments, prog_name="classbase", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except typer.Abort:
        out.error("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        return 0  # whoever read the output has seen enough
    except Exception as error:
        return _report(out, error)


def _report(out: Output, error: Exception) -> int:
    """Says an expected error in a sentence; raises an unexpected one again, since a bug needs its traceback."""
    if hasattr(error, "show") and hasattr(error, "exit_code"):  # the parser's own: wrong options, unknown command
        error.show()
        return int(error.exit_code)
    if isinstance(error, CommandError):
        out.error(error.message, error.hint, code=error.code, details=error.details)
        return error.exit_code
    known = _known(error)
    if known is None:
        raise error
    out.error(**known)
    return FAILED


def _known(error: Exception) -> dict[str, Any] | None:
    """message, hint, code and details of the errors that our packages raise on purpose, or None."""
    import psycopg

    from classbase.database.statements import StatementError
    from classbase.embedded.errors import EmbeddedError
    from classbase.errors import ClassbaseError

    if isinstance(error, EmbeddedError):
        return {"message": error.message, "hint": error.hint, "code": "backend"}
    if isinstance(error, ClassbaseError):
        return {"message": error.message, "hint": error.hint or "", "code": error.code, "details": error.context}
    if isinstance(error, StatementError):
        hint = "Nothing of that file was applied. Correct it, or the data it met, and run the same again."
        return {"message": str(error), "hint": hint, "code": error.sqlstate or "unreadable_sql"}
    if isinstance(error, psycopg.Error):
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
            hint = "Is it up, and are host, port, user and password right? `classbase status` shows the local one."
            return {"message": f"The database cannot be reached: {reason}", "hint": hint, "code": "unreachable"}
        hint = error.diag.message_hint or "Nothing was changed by the statement that failed."
        return {"message": f"The database refused: {reason}", "hint": hint, "code": error.sqlstate or "database"}
    if isinstance(error, PermissionError):
        return {
            "message": f"Not allowed: {error.filename or error}",
            "hint": "Run it as the user who owns that file, or choose another --project-dir.",
            "code": "not_allowed",
        }
    return None
