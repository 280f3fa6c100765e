"""Python in colours, by Python's own tokenizer: words of the language, names that are defined, strings, comments."""

from __future__ import annotations

import io
import keyword
import token
import tokenize

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

__all__ = ["coloured"]

STRINGS = {tokenize.STRING} | {
    getattr(token, name) for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END") if hasattr(token, name)
}


def coloured(source: str) -> SafeString:
    """The source as HTML, escaped, with a `span` of a class around what has a colour: k, d, s, c or n."""
    lines = source.splitlines(keepends=True)
    parts: list[SafeString] = []
    row, column = 1, 0
    before = ""

    def up_to(end: tuple[int, int]) -> str:
        nonlocal row, column
        text = ""
        while row < end[0]:
            text += lines[row - 1][column:]
            row, column = row + 1, 0
        if column < end[1]:
            text += lines[row - 1][column : end[1]]
            column = end[1]
        return text

    for each in tokenize.generate_tokens(io.StringIO(source).readline):
        if each.type in {tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}:
            continue
        parts.append(format_html("{}", up_to(each.start)))
        kind, text = _kind(each, before), up_to(each.end)
        parts.append(format_html('<span class="{}">{}</span>', kind, text) if kind else format_html("{}", text))
        before = each.string
    return mark_safe("".join(parts))  # noqa: S308 - each part was escaped


def _kind(each: tokenize.TokenInfo, before: str) -> str:
    if each.type == tokenize.COMMENT:
        return "c"
    if each.type in STRINGS:
        return "s"
    if each.type == tokenize.NUMBER:
        return "n"
    if each.type == tokenize.NAME and before in {"def", "class"}:
        return "d"
    if each.type == tokenize.NAME and keyword.iskeyword(each.string):
        return "k"
    return "d" if each.type == tokenize.NAME and before == "@" else ""
