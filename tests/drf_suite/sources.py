"""Where DRF's tests come from: the sdist of the installed version, fetched by pip and kept below ``build/``."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

__all__ = ["ROOT", "VERSION", "Unavailable", "fetch"]

ROOT = Path(__file__).parents[2]
#: The version of DRF that is installed.
VERSION = version("djangorestframework")
#: What is unpacked: the tests, and how DRF has pytest run them. (Without the second pytest would go by ours.)
_WANTED = ("tests", "pyproject.toml")


class Unavailable(Exception):
    """DRF's sdist cannot be had."""


def fetch() -> Path:
    """The folder in which DRF's ``tests/`` is, downloaded first if need be. Raises Unavailable."""
    kept = ROOT / "build" / "drf-tests" / VERSION
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Unpacked beside its place and then moved there: an interrupted run leaves nothing that looks complete.
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            unpacked = _unpack(_download(Path(folder)), Path(folder))
            unpacked.rename(kept)
    return kept


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", "djangorestframework", "--dest", str(folder), f"djangorestframework=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("djangorestframework-*.tar.gz"))
    if done.returncode or not found:
        raise Unavailable(f"pip could not download the sdist of DRF {VERSION}:\n{done.stderr or done.stdout}")
    return found[0]


def _unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as sdist:
        wanted = [each for each in sdist.getmembers() if Path(each.name).parts[1:2] in [(name,) for name in _WANTED]]
        sdist.extractall(folder, wanted, filter="data")
    unpacked = folder / Path(wanted[0].name).parts[0] if wanted else folder / "nothing"
    if not all((unpacked / name).exists() for name in (*_WANTED, "tests/test_throttling.py")):
        raise Unavailable(f"{archive.name} holds no tests of throttling.")
    return unpacked
