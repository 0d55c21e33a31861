"""The ledger against a model of it: hundreds of changes in any order; and the model against ledgers that are broken.

`CLASSBASE_MODEL_EXAMPLES=500` looks further, along other ways each time; what it finds is shrunk to a few steps.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.server import Database

from .driver import Driver
from .machine import LedgerMachine

EXAMPLES = int(os.environ.get("CLASSBASE_MODEL_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=EXAMPLES or 40,
    stateful_step_count=25,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    # The usual run says what failed; looking further also says how little of it is needed.
    phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)

# Guards as somebody might have left them out, most of them invisible in a ledger that only ever sees happy days.
BROKEN = {
    "meetings move without their claims": "drop trigger t50_claims_update on public.meetings",
    "nothing ends at the horizon": (
        "create or replace function private.refuse_beyond_horizon(p_claims public.claims[]) returns void "
        "language sql as 'select'"
    ),
    "rules are not compared beyond the horizon": (
        "create or replace function private.refuse_rules_that_meet(p_rule_ids uuid[]) returns void language sql as 'select'"
    ),
    "a deleted happening leaves its right to overlap": (
        "create or replace function private.forget_memberships(p_source_table text, p_ids uuid[]) returns void "
        "language sql as 'select'"
    ),
    "an override's end changes no key": "drop trigger t50_claims_update on public.overrides",
}


def machine_of(made: Driver) -> type[LedgerMachine]:
    class Machine(LedgerMachine):
        driver = made

    return Machine


@pytest.mark.timeout(300 + 10 * EXAMPLES)
def test_the_ledger_does_what_the_model_says(database: Database) -> None:
    driver = Driver(database)
    run_state_machine_as_test(machine_of(driver), settings=SETTINGS)
    # That it was given enough to refuse, and for every reason there is.
    assert driver.seen.keys() >= {
        "accepted", "time_conflict", "invalid_input", "limit_exceeded", "illegal_transition", "duplicate"
    }  # fmt: skip


@pytest.mark.parametrize("guard", BROKEN)
def test_the_model_notices_a_missing_guard(database: Database, guard: str) -> None:
    driver = Driver(database, BROKEN[guard])
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(
            machine_of(driver),
            settings=settings(SETTINGS, max_examples=300, phases=[Phase.generate]),
        )
