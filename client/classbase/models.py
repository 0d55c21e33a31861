"""What generated code is made of: the base of row models, and the value that says "not given"."""

from __future__ import annotations

import enum
from typing import Final

from pydantic import BaseModel, ConfigDict


class Row(BaseModel):
    """One row, as the database answered it: read-only, compared by value.

    A column that this client does not know is ignored, so that an older client keeps working on a newer database
    (columns are only ever appended).
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)


class Unset(enum.Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""An argument that was not given: the database's own default applies (which None, sent as null, would override)."""
