"""The drawings of the protocol's races: lined up, narrow enough, and each played by tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from docs.timelines import PAGE, PAGES, WIDEST, Timeline, drawn, timelines
from tests.concurrency.rules import RULES

ROOT = Path(__file__).parents[1]
TEXT = PAGE.read_text("utf-8")
_, *SECTIONS = re.split(r"^### ", TEXT.partition("\n## The races\n")[2].partition("\n## ")[0], flags=re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
RULE = re.compile(r"Left out\s+\(([^)]*)\)")


def title(section: str) -> str:
    return section.partition("\n")[0]


@cache
def functions(path: str) -> dict[str, ast.FunctionDef]:
    """The functions of a file, by name."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def rules_of(path: str, test: str) -> set[str]:
    """The rules that a test plays without: in its parameters, or in those of its file."""
    module = ast.parse((ROOT / path).read_text("utf-8"))
    lists = {ast.unparse(node.targets[0]): node.value for node in module.body if isinstance(node, ast.Assign)}
    decorators = functions(path)[test].decorator_list
    names = [node.id for each in decorators for node in ast.walk(each) if isinstance(node, ast.Name)]
    trees = [*decorators, *(lists[name] for name in names if name in lists)]
    words = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {rule for rule in RULES if rule in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_drawings_are_lined_up(page):
    """The page is what `python -m docs.timelines` makes of it, and no drawing is too wide to follow."""
    text = page.read_text("utf-8")
    assert drawn(text) == text
    lines = [line for each in timelines(text) for line in each.draw().splitlines()]
    assert max(map(len, lines), default=0) <= WIDEST


def test_a_drawing_is_made_of_what_is_typed():
    """Lanes and moments typed anyhow become numbered lines that fit their lane, and stay what they are."""
    typed = "reader | writer\nlooks, thinks about it, and looks again | \n | writes\n"
    once = Timeline(typed).draw()
    assert once == (
        "   │ reader              │ writer\n"
        "───┼─────────────────────┼───────\n"
        " 1 │ looks, thinks about │\n"
        "   │ it, and looks again │\n"
        " 2 │                     │ writes\n"
    )
    assert Timeline(once).draw() == once


def test_every_race_is_drawn():
    """Each section of the races has one drawing, of a reader and a writer at least."""
    assert [title(section) for section in SECTIONS if len(timelines(section)) != 1] == []
    assert len(SECTIONS) > 20


@pytest.mark.parametrize("section", SECTIONS, ids=title)
def test_every_race_is_played(section):
    """Each race names tests, all of which exist, and play without the rules that it says are left out."""
    named = TEST.findall(section)
    assert named
    assert [test for path, test in named if test not in functions(path)] == []
    left_out = {rule for found in RULE.findall(section) for rule in re.findall(r"`(\w+)`", found)}
    assert left_out - RULES.keys() == set()
    assert left_out == set().union(*(rules_of(path, test) for path, test in named))


def test_every_rule_wins_a_race():
    """Each rule that a test can leave out is left out in a race of the page."""
    left_out = {rule for found in RULE.findall(TEXT) for rule in re.findall(r"`(\w+)`", found)}
    assert left_out == RULES.keys()
