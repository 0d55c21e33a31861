"""Chromium, and where pictures of pages are kept for people to look at."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def chromium() -> str | None:
    """The browser there is, or None. Debian's package is enough; no test downloads one."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path is not None), None)


def picture(name: str) -> Path:
    """Where a picture goes: into CLASSBASE_SCREENSHOTS, or artifacts/ of the checkout, which git ignores and CI keeps."""
    folder = Path(os.environ.get("CLASSBASE_SCREENSHOTS") or CHECKOUT / "artifacts")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name
