"""What the gateway takes from `supabase/config.toml`, with the Supabase CLI's defaults for what is not written."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from classbase import backend_files
from classbase.embedded.errors import EmbeddedError

_HOOK_SCHEME = "pg-functions://"


@dataclass(frozen=True)
class AuthConfig:
    """`[auth]`: who may sign up and how long tokens live (seconds)."""

    jwt_expiry: int = 3600
    enable_signup: bool = True
    enable_email_signup: bool = True
    enable_confirmations: bool = False
    minimum_password_length: int = 6
    rotate_refresh_tokens: bool = True
    reuse_interval: int = 10
    access_token_hook: str | None = None


@dataclass(frozen=True)
class Config:
    """The parts of the configuration that matter to the local backend."""

    max_rows: int = 1000
    auth: AuthConfig = field(default_factory=AuthConfig)
    verify_jwt: dict[str, bool] = field(default_factory=dict)

    def verifies_jwt(self, function: str) -> bool:
        """Whether calls of this Edge Function need a valid token (as on the platform: yes, unless said otherwise)."""
        return self.verify_jwt.get(function, True)


def read_config(path: Path | None = None) -> Config:
    """Reads `path` (default: the backend's own config.toml).

    Raises:
        EmbeddedError: the file is not valid TOML.
    """
    file = path or backend_files.config_file()
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Config()
    except tomllib.TOMLDecodeError as error:
        raise EmbeddedError(f"{file} is not valid TOML: {error}", "Correct the line it names.") from error
    auth: dict[str, Any] = document.get("auth", {})
    email: dict[str, Any] = auth.get("email", {})
    hook: dict[str, Any] = auth.get("hook", {}).get("custom_access_token", {})
    functions: dict[str, Any] = document.get("functions", {})
    return Config(
        max_rows=int(document.get("api", {}).get("max_rows", 1000)),
        auth=AuthConfig(
            jwt_expiry=int(auth.get("jwt_expiry", 3600)),
            enable_signup=bool(auth.get("enable_signup", True)),
            enable_email_signup=bool(email.get("enabled", True)),
            enable_confirmations=bool(email.get("enable_confirmations", False)),
            minimum_password_length=int(auth.get("minimum_password_length", 6)),
            rotate_refresh_tokens=bool(auth.get("enable_refresh_token_rotation", True)),
            reuse_interval=int(auth.get("refresh_token_reuse_interval", 10)),
            access_token_hook=_hook_function(str(hook.get("uri", ""))) if hook.get("enabled") else None,
        ),
        verify_jwt={name: bool(options.get("verify_jwt", True)) for name, options in functions.items()},
    )


def _hook_function(uri: str) -> str | None:
    """`pg-functions://postgres/public/name` → `public.name`; other kinds of hooks are the hosted service's."""
    if not uri.startswith(_HOOK_SCHEME):
        return None
    parts = uri.removeprefix(_HOOK_SCHEME).strip("/").split("/")
    return ".".join(parts[-2:]) if len(parts) >= 2 else None
