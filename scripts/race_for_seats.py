#!/usr/bin/env python
"""The race for seats at full size: 12 seats, 500 callers at once over REST, 100 rounds. Prints what came of it.

    python scripts/race_for_seats.py [callers] [rounds]

Exits with 1 when anybody was told anything else than that they have a seat or that all are taken, or when a seat was
sold twice. The suite runs the same race smaller (tests/60_training/test_seat_races.py).
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.rest import Rest
from tests.support.seat_race import race_over_rest
from tests.support.server import TEMPLATE, TestServer
from tests.support.training import Training
from tests.support.world import World


def main(callers: int, rounds: int) -> int:
    """Runs the race; 0 when each round ended as it must."""
    server = TestServer.start(18)
    try:
        server.prepare()
        database = server.create_database(TEMPLATE)
        training = Training(World(database.connect()))
        started, good, everything = time.monotonic(), 0, Counter[str]()
        with Rest.serve(database) as rest:
            for said in race_over_rest(training, rest, callers=callers, rounds=rounds):
                good += said == Counter({"": 12, "seats_full": callers - 12})
                everything += said
        broken = training.broken()
        print(f"{good} of {rounds} rounds ended with 12 seats sold and {callers - 12} callers told seats_full")
        print(f"answers: {dict(everything)}; left broken: {broken}; {time.monotonic() - started:.0f} s")
        return 0 if good == rounds and not broken else 1
    finally:
        server.stop()


if __name__ == "__main__":
    asked = [int(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(asked + [500, 100][len(asked) :])))
