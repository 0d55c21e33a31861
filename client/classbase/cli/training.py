"""`classbase training`: series of sessions, registers and certificates."""

from __future__ import annotations

import typer

from classbase.cli.training_certificates import certificates_app
from classbase.cli.training_register import register_app
from classbase.cli.training_series import series_app

training_app = typer.Typer(
    name="training", help="Courses in sessions: series, registers and certificates.", no_args_is_help=True
)
training_app.add_typer(series_app)
training_app.add_typer(register_app)
training_app.add_typer(certificates_app)


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    app.add_typer(training_app)
