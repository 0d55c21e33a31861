"""What goes wrong without each guard of this module."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from tests.support.guards import guards
from tests.support.stage import Stage

REFUSED = {
    "private.error_codes.category_is_known": "update private.error_codes set category = 'weather'",
    "private.error_codes.code_is_snake_case": "update private.error_codes set code = 'Seats Full' where code = 'seats_full'",
    "private.error_codes.status_is_a_refusal": "update private.error_codes set http_status = 200",
    "public.settings.allowed_values_are_a_list": "update public.settings set allowed_values = '1' where key = 'currency'",
    "public.settings.bounds_belong_to_numbers": "update public.settings set minimum = 1 where key = 'currency'",
    "public.settings.key_is_snake_case": "update public.settings set key = 'Currency' where key = 'currency'",
    "public.settings.kind_is_known": "update public.settings set kind = 'colour' where key = 'currency'",
    "public.settings.t20_value_fits_definition": "update public.settings set value = '0' where key = 'page_size'",
    "public.permissions.name_is_action_and_thing": (
        "insert into public.permissions (name, module, description) values ('everything', '00_platform', 'Anything.')"
    ),
    "public.integrity_checks.category_is_known": "update public.integrity_checks set category = 'weather'",
    "public.integrity_checks.name_is_snake_case": (
        "update public.integrity_checks set name = 'A Name' where name = (select min(name) from public.integrity_checks)"
    ),
    "public.integrity_checks.severity_is_known": "update public.integrity_checks set severity = 'mild'",
    "public.scheduled_jobs.cron_has_five_fields": "update public.scheduled_jobs set cron = 'hourly'",
}


@guards("public.settings.t10_keep_version")
def the_version_counts(stage: Stage) -> None:
    change = "update public.settings set value = %s where key = 'organisation_name' returning version"
    first = stage.db.execute(change, [Jsonb("One")]).fetchone()
    second = stage.db.execute(change, [Jsonb("Two")]).fetchone()
    assert first is not None
    assert second == (first[0] + 1,)
