"""`classbase training`: sessions, who takes part, series, registers and certificates."""

from __future__ import annotations

import typer

from classbase.cli.training_bookings import bookings_app
from classbase.cli.training_calendar import calendar
from classbase.cli.training_certificates import certificates_app
from classbase.cli.training_register import register_app
from classbase.cli.training_series import series_app
from classbase.cli.training_sessions import sessions_app

training_app = typer.Typer(
    name="training",
    help="Courses in sessions: the month, seats and bookings, series, registers and certificates.",
    no_args_is_help=True,
)
training_app.command("calendar")(calendar)
for group in (sessions_app, bookings_app, series_app, register_app, certificates_app):
    training_app.add_typer(group)


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    app.add_typer(training_app)
