"""`python -m classbase.generator`: loads sql/ into a scratch database and writes the client."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import psycopg

import classbase
from classbase import backend_files
from classbase.database.loader import load_sql
from classbase.embedded.postgres import PostgresServer
from classbase.embedded.standin import install_standin
from classbase.generator.catalogue import Catalogue, read_catalogue
from classbase.generator.errors_page import errors_page
from classbase.generator.render import render_modules, twins


def scratch_catalogue(sql_dir: Path) -> Catalogue:
    """The catalogue of `sql_dir`, loaded into a server that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="classbase-client-") as folder:
        server = PostgresServer(Path(folder, "data"), fsync=False)
        server.start()
        try:
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                install_standin(connection)
                load_sql(connection, sql_dir)
                return read_catalogue(connection)
        finally:
            server.stop()


def files(catalogue: Catalogue, sql_dir: Path) -> dict[Path, str]:
    """Every generated file, by its path."""
    package = Path(classbase.__file__).parent
    return {
        **{package / "generated" / name: text for name, text in render_modules(catalogue, [sql_dir]).items()},
        **{package / name: text for name, text in twins(package).items()},
        backend_files.root() / "docs" / "errors.md": errors_page(),
    }


def main() -> int:
    """Writes the files, or with --check says which are stale (exit code 1)."""
    parser = argparse.ArgumentParser(prog="python -m classbase.generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a file is stale")
    options = parser.parse_args()
    sql_dir = backend_files.sql_dir()
    wanted = files(scratch_catalogue(sql_dir), sql_dir)
    generated = Path(classbase.__file__).parent / "generated"
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    left = [path for path in generated.glob("*.py") if path not in wanted]
    for path in [*stale, *left]:
        print(f"{'stale' if options.check else 'written' if path in wanted else 'removed'}: {path}", file=sys.stderr)
    if options.check:
        return 1 if stale or left else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")
    for path in left:
        path.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
