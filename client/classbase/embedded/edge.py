"""Edge Functions: each a Deno process of its own, started by the first call, with the platform's environment."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from classbase.embedded import processes
from classbase.embedded.web import Refusal

_BOOT_SECONDS = 60.0


@dataclass
class _Function:
    name: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    child: subprocess.Popen[bytes] | None = None
    port: int = 0
    started: float = 0.0

    def runs(self) -> bool:
        return self.child is not None and self.child.poll() is None


class EdgeFunctions:
    """Starts and stops the functions of one directory.

    Args:
        deno: the Deno binary.
        directory: holds one folder a function, with `index.ts`; names that start with `_` are shared code.
        environment: what the functions see (SUPABASE_URL and so on).
        logs: where each function's log goes.
        cache: Deno's own cache, and where the functions run: the project's, which tells them from another's.
        changed: called whenever a process was started or ended.
    """

    def __init__(
        self,
        deno: Path,
        directory: Path,
        environment: Mapping[str, str],
        *,
        logs: Path,
        cache: Path,
        changed: Callable[[], None],
    ) -> None:
        self.deno = deno
        self.directory = directory
        self.environment = dict(environment)
        self.logs = logs
        self.cache = cache
        self._changed = changed
        self._functions: dict[str, _Function] = {}

    def names(self) -> list[str]:
        """The functions there are."""
        return sorted(
            folder.name
            for folder in self.directory.iterdir()
            if not folder.name.startswith(("_", ".")) and (folder / "index.ts").is_file()
        )

    def children(self) -> dict[str, int]:
        """The running processes: function → pid."""
        return {f.name: f.child.pid for f in self._functions.values() if f.child is not None and f.runs()}

    async def port(self, name: str) -> int:
        """The port on which the function answers; starts it first when it does not run or its files are newer.

        Raises:
            Refusal: there is no such function (404), or it does not start (503), as the platform says it.
        """
        if name not in self.names():
            raise Refusal(404, "NOT_FOUND", "Requested function was not found", f"There are: {', '.join(self.names())}")
        function = self._functions.setdefault(name, _Function(name))
        async with function.lock:
            if function.runs() and self._last_change(name) > function.started:
                await asyncio.to_thread(self._end, function)
            if not function.runs():
                await self._start(function)
            return function.port

    async def stop(self) -> None:
        """Ends every function."""
        await asyncio.gather(*(asyncio.to_thread(self._end, function) for function in self._functions.values()))

    async def _start(self, function: _Function) -> None:
        function.port = processes.free_port()
        function.started = time.time()
        log = self.logs / f"function-{function.name}.log"
        self.cache.mkdir(mode=0o700, exist_ok=True)
        command = [
            str(self.deno), "run", "--quiet", "--no-prompt",
            # Nothing is downloaded while it runs: packages come from node_modules, and from nowhere else.
            "--no-remote", "--node-modules-dir=manual", "--no-lock",
            "--allow-env", "--allow-sys", f"--allow-read={self.directory}",
            f"--allow-net={processes.LOOPBACK},localhost",
            str(self.directory / function.name / "index.ts"),
        ]  # fmt: skip
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.cache),
            "DENO_DIR": str(self.cache),
            "DENO_NO_UPDATE_CHECK": "1",
            "DENO_SERVE_ADDRESS": f"tcp:{processes.LOOPBACK}:{function.port}",
            "NO_COLOR": "1",
            **self.environment,
        }
        with log.open("ab") as output:
            function.child = subprocess.Popen(  # noqa: ASYNC220 - returns at once, the process is awaited below
                command,
                cwd=self.cache,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._changed()
        deadline = time.monotonic() + _BOOT_SECONDS
        while function.runs() and time.monotonic() < deadline:
            try:
                _, writer = await asyncio.open_connection(processes.LOOPBACK, function.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return
        await asyncio.to_thread(self._end, function)
        raise Refusal(503, "BOOT_ERROR", "Function failed to start (please check logs)", f"Its log is {log}.")

    def _end(self, function: _Function) -> None:
        if function.child is None:
            return
        if function.child.poll() is None:
            processes.end(function.child.pid, patience=5.0)
        function.child.wait()
        function.child = None
        self._changed()

    def _last_change(self, name: str) -> float:
        folders = [self.directory / name, self.directory / "_shared"]
        return max((file.stat().st_mtime for folder in folders for file in folder.rglob("*.ts")), default=0.0)


def functions_beside(node_modules: Path, source: Path) -> Path:
    """The functions' directory, in a place from which Deno finds `node_modules` by walking up.

    In a checkout that is where they are; functions carried by an installed package are copied beside the
    `node_modules` of the project.
    """
    home = node_modules.parent
    if home in source.resolve().parents:
        return source.resolve()
    copy = home / "functions"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    return copy


def read_secrets(path: Path) -> dict[str, str]:
    """The functions' own secrets from a file of NAME=value lines, as the Supabase CLI reads them; none without a file.

    Names that begin with SUPABASE_ are the platform's and left out.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    found = {}
    for line in lines:
        name, is_set, value = line.strip().removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
            value = value[1:-1]
        if is_set and name.isidentifier() and not name.startswith("SUPABASE_"):
            found[name] = value
    return found
