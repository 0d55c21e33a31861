"""Each constraint, trigger and policy is dropped in turn, and something must fail.

What a module has to write for it is said in tests/support/guards.py.
"""

from __future__ import annotations

import pytest

from tests.support.guards import Scenario, declared, in_catalogue, prove_scenario, prove_statement
from tests.support.matrix import COMMANDS, table_access
from tests.support.plain_guards import prove_by_itself
from tests.support.stage import Stage

DECLARED = [(name, proof) for name, proofs in declared().items() for proof in proofs]


def name_of(value: str | Scenario) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", "")


@pytest.mark.parametrize(
    ("name", "proof"),
    [
        pytest.param(name, proof, id=name if isinstance(proof, str) else f"{name}-{name_of(proof)}")
        for name, proof in DECLARED
    ],
)
def test_without_it_something_goes_wrong(stage: Stage, name: str, proof: str | Scenario) -> None:
    guard = in_catalogue(stage.db).get(name)
    assert guard is not None, f"there is no guard {name}"
    if isinstance(proof, str):
        assert prove_statement(stage, guard, proof) is None, proof
    else:
        assert prove_scenario(stage, guard, proof) is None


def test_every_guard_is_proven(stage: Stage) -> None:
    """Lists the guards that nothing above proves, and that do not prove themselves."""
    proven = declared()
    missing = []
    for name, guard in in_catalogue(stage.db).items():
        if guard.kind != "policy" and name not in proven and (reason := prove_by_itself(stage, guard)) is not None:
            missing.append(f"{name} ({guard.kind}): {reason}")
    assert not missing, "\n".join(["guards without a scenario in tests/*/guards.py:", *missing])


def test_every_policy_matters(stage: Stage) -> None:
    """Without it somebody reaches other rows, or a scenario fails."""
    proven = set(declared())
    idle = []
    for name, guard in in_catalogue(stage.db).items():
        if guard.kind != "policy" or name in proven:
            continue
        table, commands = f"{guard.schema}.{guard.relation}", (guard.type,) if guard.type else COMMANDS
        with_it = table_access(stage, table, commands=commands)
        with stage.rehearsal() as db:
            guard.drop(db)
            if table_access(stage, table, commands=commands) == with_it:
                idle.append(name)
    assert not idle, "\n".join(["policies that change nothing for the people and rows on stage:", *idle])
