"""Where Django's tests come from: the sdist of the installed version, fetched by pip and kept below ``build/``."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

__all__ = ["Unavailable", "fetch"]

ROOT = Path(__file__).parents[2]


class Unavailable(Exception):
    """Django's sdist cannot be had."""


def fetch() -> Path:
    """The folder with Django's tests, downloaded first if need be. Raises Unavailable."""
    version = django.get_version()
    kept = ROOT / "build" / "django-tests" / version
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Unpacked beside its place and then moved there: an interrupted run leaves nothing that looks complete.
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            unpacked = _unpack(_download(version, Path(folder)), Path(folder))
            try:
                unpacked.rename(kept)
            except OSError:
                # Another Python's run, beside this one, was quicker.
                if not kept.exists():
                    raise
    return kept


def _download(version: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", "django", "--dest", str(folder), f"django=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("[dD]jango-*.tar.gz"))
    if done.returncode or not found:
        raise Unavailable(f"pip could not download the sdist of Django {version}:\n{done.stderr or done.stdout}")
    return found[0]


def _unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as sdist:
        wanted = [each for each in sdist.getmembers() if Path(each.name).parts[1:2] == ("tests",)]
        sdist.extractall(folder, wanted, filter="data")
    tests = folder / Path(wanted[0].name).parts[0] / "tests" if wanted else folder / "nothing"
    if not (tests / "runtests.py").exists():
        raise Unavailable(f"{archive.name} holds no tests.")
    return tests
