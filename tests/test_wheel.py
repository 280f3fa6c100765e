"""What is shipped: the wheel, alone in an empty environment, with the source away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "redis_toolkit"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as its build backend makes it."""
    folder = tmp_path_factory.mktemp("wheel")
    script = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1]))"
    # The backend's program lies beside the interpreter, which need not be on PATH.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True, cwd=ROOT, env=os.environ | {"PATH": path})
    [built] = folder.glob("*.whl")
    return built


def requirements_of(package: Distribution) -> list[str]:
    """What a distribution needs here, without its extras."""
    needed = [Requirement(line) for line in package.requires or ()]
    return [each.name for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]


def link_requirements(package: Distribution, site_packages: Path) -> set[str]:
    """Put what `package` declares, and nothing else, into `site_packages`; return the names."""
    names: set[str] = set()
    waiting = requirements_of(package)
    while waiting:
        name = waiting.pop()
        if name in names:
            continue
        names.add(name)
        found = distribution(name)
        for top in {path.parts[0] for path in found.files or () if path.parts[0] not in {"..", "__pycache__"}}:
            target = site_packages / top
            if not target.exists():
                target.symlink_to(Path(str(found.locate_file(top))))
        waiting += requirements_of(found)
    return names


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel, what it declares that it needs, and nothing else."""
    home = tmp_path_factory.mktemp("empty")
    venv.create(home, symlinks=True)
    program = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(program)]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True, cwd=home)
    [site_packages] = home.glob("lib/python*/site-packages")
    [metadata] = site_packages.glob("redis_toolkit-*.dist-info")
    names = link_requirements(Distribution.at(metadata), site_packages)
    assert {"Django", "django"} & names
    assert "pytest" not in names
    return program


def answer(python: Path, script: str) -> object:
    """What a script prints, as JSON, far from the source."""
    away = python.parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DJANGO"))}
    command = [str(python), "-W", "error", "-c", script]
    return json.loads(subprocess.check_output(command, text=True, cwd=away, env=environment))


def test_holds_the_package_and_nothing_else(wheel):
    """Every file of the package is inside, Lua, templates and py.typed included; tests and demo are not."""
    names = ZipFile(wheel).namelist()
    files = {name for name in names if not name.endswith("/")}
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in files if ".dist-info/" not in name} == ours
    assert {"redis_toolkit/py.typed", "redis_toolkit/lua/cache_mark.lua"} <= files
    assert {name.split("/")[1] for name in files if ".dist-info/" in name} >= {"METADATA", "licenses"}


def test_imports_with_the_source_away(python):
    """The public modules import from the installed wheel, and the version is the wheel's."""
    found = answer(
        python,
        "import json, redis_toolkit, redis_toolkit.cache, redis_toolkit.testing;"
        "from importlib.metadata import version;"
        "print(json.dumps([redis_toolkit.__file__, redis_toolkit.__version__, version('redis-toolkit')]))",
    )
    assert isinstance(found, list)
    assert found[0].startswith(str(python.parents[1]))
    assert found[1:] == ["0.1.0", "0.1.0"]


def test_every_script_loads_from_the_wheel(python):
    """The Lua files are read from the installed package, all of them."""
    found = answer(
        python,
        "import json; from importlib.resources import files;"
        "print(json.dumps(sorted(f.name for f in (files('redis_toolkit') / 'lua').iterdir() if f.read_text())))",
    )
    assert found == sorted(path.name for path in (PACKAGE / "lua").glob("*.lua"))


def test_celery_is_optional(python):
    """Without Celery the app starts and has its commands; its metadata names the extra that brings the task."""
    found = answer(
        python,
        "import json, django; from django.conf import settings; from importlib.metadata import metadata;"
        "from importlib.util import find_spec;"
        "settings.configure(INSTALLED_APPS=['redis_toolkit'], DATABASES={}, CACHES={'default': {"
        "'BACKEND': 'django_redis.cache.RedisCache', 'LOCATION': 'redis://127.0.0.1:1/0'}});"
        "django.setup(); from django.core.management import get_commands;"
        "print(json.dumps([find_spec('celery') is None, 'celery' in metadata('redis-toolkit').get_all('Provides-Extra'),"
        "sorted(name for name, app in get_commands().items() if app == 'redis_toolkit')]))",
    )
    commands = sorted(path.stem for path in (PACKAGE / "management" / "commands").glob("redis_*.py"))
    assert found == [True, True, commands]
    assert "redis_drain" in commands


def test_django_accepts_the_app(python):
    """A project of nothing but this app passes Django's own checks."""
    found = answer(
        python,
        "import json, django; from django.conf import settings;"
        "settings.configure(INSTALLED_APPS=['redis_toolkit'], DATABASES={}, CACHES={'default': {"
        "'BACKEND': 'django_redis.cache.RedisCache', 'LOCATION': 'redis://127.0.0.1:1/0'}});"
        "django.setup(); from django.core.checks import run_checks, ERROR;"
        "print(json.dumps([e.id for e in run_checks() if e.level >= ERROR]))",
    )
    assert found == []
