"""The change feed through the local origin: pushed by the Edge Function to Python and to whoever reads events."""

from __future__ import annotations

import threading

import pytest

import classbase
from classbase.embedded.processes import free_port
from classbase.errors import NetworkError
from tests.embedded.conftest import Origin
from tests.support.changes import open_topic, say
from tests.support.events import following
from tests.support.waiting import until


def test_changes_are_pushed_through_the_origin(origin: Origin) -> None:
    with origin.connect() as db, origin.client(apikey=origin.anon) as client:
        open_topic(db, "pushed")
        with following(client, "pushed", path="/functions/v1/changes", token=origin.anon) as stream:
            until(lambda: stream.of("ready").data["state"] == "live", "pushing")
            say(db, "pushed", 1)
            assert stream.numbers(1) == [1]
            broken_off = stream.last_id
        say(db, "pushed", 2)
        with following(client, "pushed", path="/functions/v1/changes", last_id=broken_off) as stream:
            assert stream.numbers(1) == [2]


def test_python_follows_through_the_origin(origin: Origin) -> None:
    is_live, numbers = threading.Event(), []
    with origin.connect() as db, classbase.connect(origin.url, origin.anon) as cb:
        open_topic(db, "followed")
        with cb.subscribe(["followed"], on_state=lambda state: is_live.set() if state == "live" else None) as changes:

            def publish() -> None:
                assert is_live.wait(60)
                for number in range(5):
                    say(db, "followed", number)

            publishing = threading.Thread(target=publish)
            publishing.start()
            for change in changes:
                numbers.append(change.payload["number"])
                if len(numbers) == 5:
                    break
            publishing.join()
    assert numbers == list(range(5))


def test_nobody_is_kept_waiting_by_an_origin_that_is_gone() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with (
        classbase.connect(address, "key", retry=classbase.RetryPolicy(attempts=1)) as cb,
        pytest.raises(NetworkError),
    ):
        cb.subscribe(["followed"]).__enter__()
