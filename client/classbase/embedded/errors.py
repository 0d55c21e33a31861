"""What can go wrong around the local backend, always with what to do next."""

from __future__ import annotations


class EmbeddedError(Exception):
    """Something about the local backend could not be done.

    `message` says what happened in a sentence, `hint` what to do next.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Missing(EmbeddedError):
    """A program that the backend needs is not on this machine."""


class PortTaken(EmbeddedError):
    """A port that was asked for is in use by something else."""
