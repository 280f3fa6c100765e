"""The house rules that neither ruff nor import-linter can say; each failure names the offender."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "redis_toolkit"
SHIPPED = ("redis_toolkit", "demo_project")

MODULE_LINES = 300
MODULE_LINES_EVER = 400
FUNCTION_LINES = 60
#: Modules of more than 300 lines (400 at the very most), and why each stays whole.
LARGER: dict[str, str] = {}

NO_NOUN = {"base", "common", "helper", "helpers", "misc", "tools", "util", "utils"}
#: Modules that Django itself imports, after its settings; and what they alone import.
AFTER_DJANGO = re.compile(r"\.(models|admin|dashboard|tasks|migrations|contrib)(\.|$)")
SKIPPING = {"skip", "skipif", "importorskip", "xfail"}
DOUBLES = {"fakeredis", "mock", "unittest.mock"}


@cache
def sources(*folders: str) -> dict[str, ast.Module]:
    """Parsed Python files below the folders, by path from the root; migrations are Django's."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "migrations" not in path.parts
    }


def dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the source of what is called."""
    return ((node, ast.unparse(node.func)) for node in ast.walk(tree) if isinstance(node, ast.Call))


def imported(tree: ast.AST) -> Iterator[tuple[str, str | None]]:
    """Module and, of a `from` import, name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def module_exports(path: Path) -> list[str] | None:
    """The names in a file's `__all__`, None where it has none."""
    if not path.exists():
        return None
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def test_modules_fit_on_three_screens():
    """No module has more than 300 lines, or, with its reason written here, 400."""
    sizes = {path: len((ROOT / path).read_text("utf-8").splitlines()) for path in sources(*SHIPPED)}
    limits = {path: MODULE_LINES_EVER if path in LARGER else MODULE_LINES for path in sizes}
    assert {path: size for path, size in sizes.items() if size > limits[path]} == {}
    assert {path for path in LARGER if sizes.get(path, 0) <= MODULE_LINES} == set()


def test_functions_fit_on_one_screen():
    """No function has more than 60 lines."""
    sizes = {
        f"{path}:{function.lineno} {function.name}": function.end_lineno - function.lineno + 1
        for path, tree in sources(*SHIPPED).items()
        for function in functions(tree)
        if function.end_lineno
    }
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES} == {}


def test_every_file_has_a_noun():
    """No file or folder is called utils, helpers, common, base or misc."""
    found = [path for path in sources(*SHIPPED, "tests") if NO_NOUN & set(dotted(path).split("."))]
    assert found == []


def test_public_names_are_listed():
    """Every module that defines a public function or class says in `__all__` what is public."""
    exempt = re.compile(r"/(apps|models|admin|migrations|commands|templatetags)(/|\.py$)")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    unlisted = [
        path
        for path, tree in sources("redis_toolkit").items()
        if not exempt.search(path)
        and any(isinstance(node, kinds) and not node.name.startswith("_") for node in tree.body)
        and module_exports(ROOT / path) is None
    ]
    assert unlisted == []


def test_keys_are_made_in_one_file():
    """No f-string outside core/keys.py joins parts with colons."""
    joined = re.compile(r"^:\S|\S:$|^:$")
    offenders = []
    for path, tree in sources(
        *(
            f"redis_toolkit/{floor}"
            for floor in ("core", "cache", "structures", "throttling", "sessions", "otp", "tokens", "stats")
        )
    ).items():
        if path == "redis_toolkit/core/keys.py":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                texts = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
                if any(joined.search(text) for text in texts):
                    offenders.append(f"{path}:{node.lineno} {ast.unparse(node)}")
    assert offenders == []


def test_nothing_empties_or_lists_a_server():
    """No KEYS, FLUSHDB or FLUSHALL, neither as a method nor as a command nor in Lua."""
    forbidden = re.compile(r"(?<!#)(?<!unpack\()\b(KEYS(?!\s*\[)|FLUSHDB|FLUSHALL)\b")
    offenders = []
    for path, tree in sources(*SHIPPED).items():
        for call, name in calls(tree):
            method = name.rpartition(".")[2]
            words = [each.value for each in ast.walk(call) if isinstance(each, ast.Constant)]
            named = any(isinstance(word, str | bytes) and word in {"KEYS", "FLUSHDB", "FLUSHALL"} for word in words)
            listed = method == "keys" and re.search(r"redis|client|link|pipe|connection", name) and call.args
            if named or listed or method in {"flushdb", "flushall"}:
                offenders.append(f"{path}:{call.lineno} {ast.unparse(call)}")
    for script in sorted((PACKAGE / "lua").glob("*.lua")):
        code = re.sub(r"--.*", "", script.read_text("utf-8"))
        offenders += [f"{script.name}: {found}" for found in forbidden.findall(code)]
    assert offenders == []


def test_every_script_says_what_it_takes_and_has_one_user():
    """Each Lua file's header names KEYS, ARGV, what it returns and why it is atomic; one module loads it."""
    texts = {path: (ROOT / path).read_text("utf-8") for path in sources("redis_toolkit")}
    wrong = {}
    for script in sorted((PACKAGE / "lua").glob("*.lua")):
        header = "".join(line for line in script.read_text("utf-8").splitlines(keepends=True) if line.startswith("--"))
        lacks = [word for word in ("KEYS[1]", "ARGV", "Returns", "Atomic because") if word not in header]
        users = [path for path, text in texts.items() if f'"{script.stem}"' in text]
        if lacks or len(users) != 1:
            wrong[script.name] = (lacks, users)
    assert wrong == {}


def test_every_module_imports_without_settings():
    """Each module, alone in a fresh process, imports with no Django settings configured."""
    names = [dotted(path) for path in sources("redis_toolkit") if not AFTER_DJANGO.search(dotted(path))]
    script = """
import importlib, json, os, sys, traceback
# What is other people's is imported once for all.
import django.db.models, django.http, django_redis, msgspec, redis
failed = {}
for name in json.load(sys.stdin):
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        from django.conf import settings
        os._exit(2 if settings.configured else 0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        failed[name] = status
json.dump(failed, sys.stdout)
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
    )
    assert json.loads(result.stdout) == {}, result.stderr
    assert result.stderr == ""
    assert "redis_toolkit.core.keys" in names


def test_package_imports_nothing():
    """`import redis_toolkit` loads neither Django nor Redis nor any module of its own."""
    script = "import sys, redis_toolkit; print([n for n in sys.modules if n.split('.')[0] in ('django', 'redis')])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout == "[]\n"
    tree = sources("redis_toolkit")["redis_toolkit/__init__.py"]
    assert [module for module, _ in imported(tree)] == ["__future__"]


def test_demo_knows_public_names_only():
    """Whatever the demo takes from the package stands in the `__all__` of the module it is taken from."""
    private = []
    for path, tree in sources("demo_project").items():
        for module, name in imported(tree):
            if module.split(".")[0] != "redis_toolkit" or name is None:
                continue
            home = ROOT / module.replace(".", "/")
            if module == "redis_toolkit" and (home / name / "__init__.py").exists():
                continue  # a room as a whole, of which no more can be seen here
            file = home / "__init__.py" if home.is_dir() else home.with_suffix(".py")
            if name not in (module_exports(file) or []):
                private.append(f"{path}: {module}.{name}")
    assert private == []


@pytest.mark.parametrize("folder", ["tests", *SHIPPED])
def test_nothing_sleeps(folder):
    """Nobody calls time.sleep: time is an argument, and threads meet at barriers."""
    offenders = []
    for path, tree in sources(folder).items():
        offenders += [f"{path}:{call.lineno}" for call, name in calls(tree) if name in {"time.sleep", "sleep"}]
    assert offenders == []


def test_tests_use_the_real_thing():
    """No test replaces what we integrate with, and none is skipped or expected to fail."""
    offenders = []
    for path, tree in sources("tests").items():
        offenders += [f"{path}: {module}" for module, _ in imported(tree) if module in DOUBLES]
        offenders += [f"{path}: {module}" for module, name in imported(tree) if (module, name) == ("unittest", "mock")]
        offenders += [
            f"{path}:{node.lineno} {ast.unparse(node)}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in SKIPPING and ast.unparse(node).startswith("pytest.")
        ]
    assert offenders == []


def test_tests_say_what_they_show():
    """Every test has a docstring, and its first line is a sentence."""
    silent = [
        f"{path}:{function.lineno} {function.name}"
        for path, tree in sources("tests").items()
        for function in functions(tree)
        if function.name.startswith("test_") and not (ast.get_docstring(function) or "").strip().endswith((".", "?"))
    ]
    assert silent == []
