"""The local origin through supabase-js, unchanged, in Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.embedded.conftest import Origin, clean_environment, needs_node


@needs_node
def test_supabase_js_works_unchanged(origin: Origin) -> None:
    script = Path(__file__).with_name("auth_flows.mjs")
    done = subprocess.run(
        ["node", str(script), origin.url, origin.anon, origin.service],
        env=clean_environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    events = seen.pop("events")
    assert {"SIGNED_IN", "TOKEN_REFRESHED", "USER_UPDATED", "SIGNED_OUT"} <= set(events)
    assert seen == {
        "signed_up": True,
        "metadata": "Ravi Iyer",
        "profile": "Ravi Iyer",
        "user": True,
        "claims_role": "authenticated",
        "rotated": True,
        "updated": "green",
        "taken": {"status": 422, "code": "user_already_exists", "name": "AuthApiError"},
        "weak": {"status": 422, "code": "weak_password", "name": "AuthWeakPasswordError"},
        "wrong": {"status": 400, "code": "invalid_credentials", "name": "AuthApiError"},
        "signed_in": True,
        "signed_out": True,
        "after_sign_out": {"status": 400, "code": None, "name": "AuthSessionMissingError"},  # for session_not_found
        "listed": True,
        "changed": "x",
        "deleted": {"status": 404, "code": "user_not_found", "name": "AuthApiError"},
        "not_admin": {"status": 403, "code": "not_admin", "name": "AuthApiError"},
        "rpc": True,
        "function_healthy": True,
    }
