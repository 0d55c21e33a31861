"""`python -m bench [name…]`: runs the named measurements, or all of them, and prints what came out.

A measurement is a module of this folder with `run(server)`, which yields ratios; it joins by being there. Of one with
several parts (`MEASURES`) all are run.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import signal
import sys
import time
from collections.abc import Callable, Iterator

import bench
from bench.support import Ratio, say, scratch_server, show
from tests.support.server import TestServer

Run = Callable[[TestServer], Iterator[Ratio]]


def _found() -> dict[str, Run]:
    names = [module.name for module in pkgutil.iter_modules(bench.__path__) if module.name != "__main__"]
    modules = {name: importlib.import_module(f"bench.{name}") for name in names}
    return {name: module.run for name, module in modules.items() if hasattr(module, "run")}


def main() -> None:
    """Reads the command line, runs and prints."""
    found = _found()
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ratios, measured side by side in one run.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"all by default: {', '.join(found)}")
    names = parser.parse_args().names
    if unknown := set(names) - set(found):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    # Whoever stops it politely finds no server left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ratios: list[Ratio] = []
    start = time.monotonic()
    with scratch_server() as server:
        for name in names or found:
            for ratio in found[name](server):
                say(f"{ratio.what}: {ratio.ms:.2f} ms, {ratio.ratio:.2f} × {ratio.against}")
                ratios.append(ratio)
    show(ratios)
    say(f"Took {time.monotonic() - start:.0f} s on a server with Postgres's own defaults (fsync on).")


if __name__ == "__main__":
    main()
