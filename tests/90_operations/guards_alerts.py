"""What fails once a guard of alerts is gone."""

from __future__ import annotations

_OPEN = "update public.alerts set {} where resolved_at is null"

REFUSED = {
    "public.alerts.alerts_one_open": (
        "insert into public.alerts (kind, subject, severity, message) "
        "values ('job_failed', 'forget_old_calls', 'error', 'Again.')"
    ),
    "public.alerts.kind_is_snake_case": _OPEN.format("kind = 'Job failed'"),
    "public.alerts.severity_is_known": _OPEN.format("severity = 'mild'"),
    "public.alerts.message_is_given": _OPEN.format("message = ' '"),
    "public.alerts.details_are_an_object": _OPEN.format("details = '[]'"),
    "public.alerts.times_are_counted_from_one": _OPEN.format("times = 0"),
    "public.alerts.acknowledged_by_comes_with_a_time": _OPEN.format(
        "acknowledged_by = (select min(id::text)::uuid from auth.users)"
    ),
    "public.alerts.resolved_by_comes_with_a_time": _OPEN.format(
        "resolved_by = (select min(id::text)::uuid from auth.users)"
    ),
}
