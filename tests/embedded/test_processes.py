"""Processes as the local backend remembers them."""

from __future__ import annotations

import os
import subprocess

from classbase.embedded import processes


def test_a_process_is_known_by_its_words_from_its_first_moment() -> None:
    """Just after a program was started, the machine has no words for it yet: about one look in four is that early."""
    command = ["sleep", "60"]
    for _ in range(40):
        with subprocess.Popen(command) as child:
            try:
                known = processes.fingerprint(child.pid)
                assert known == [*command, os.getcwd()]
                assert processes.same_process(child.pid, known)
            finally:
                child.kill()
    assert processes.fingerprint(child.pid) is None
