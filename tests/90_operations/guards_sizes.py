"""What fails once a guard of readings of sizes is gone."""

from __future__ import annotations

REFUSED = {
    "private.table_size_readings.sizes_are_not_below_zero": "update private.table_size_readings set total_bytes = -1",
}
