"""``{% load redis_toolkit %}``: parts of templates, remembered under the same stamps as the models they read."""

from __future__ import annotations

from typing import Any

from django.template import Library, TemplateSyntaxError
from django.template.base import FilterExpression, Parser, Token, TokenType

from redis_toolkit.cache.fragments import FragmentNode, fingerprint

register = Library()

_END = "endcached"


@register.tag("cached")
def do_cached(parser: Parser, token: Token) -> FragmentNode:
    """Remember what the block shows until a row of a model in ``depends_on`` is written.

    ``{% cached ttl name vary1 vary2 depends_on="timetable.Lesson,timetable.Room" %} … {% endcached %}``. ``ttl``:
    seconds; None: ``REDIS_TOOLKIT_CACHE_TTL``. ``name`` is a word, as with Django's ``{% cache %}``. What the block
    shows is kept for each set of values that follow.
    """
    tag, *words = token.split_contents()
    named = [word for word in words if word.startswith("depends_on=")]
    words = [word for word in words if word not in named]
    if len(named) != 1 or len(words) < 2:
        raise TemplateSyntaxError(
            f"{{% {tag} %}} takes a ttl, a name, and what it depends on:"
            f' {{% {tag} 600 lessons depends_on="app.Lesson" %}}.'
        )
    ttl, name, *vary = words
    source = fingerprint(_block_of(parser))
    nodes = parser.parse((_END,))
    parser.delete_first_token()
    depends_on: FilterExpression = parser.compile_filter(named[0].partition("=")[2])
    # `{% include "part.html" %}` gives a name that is marked safe, which is no plain value.
    origin = str.__str__(str(getattr(parser.origin, "template_name", None)))
    return FragmentNode(
        nodes,
        parser.compile_filter(ttl),
        (origin, name.strip("\"'"), source),
        depends_on,
        list(map(parser.compile_filter, vary)),
    )


def _block_of(parser: Parser) -> list[Any]:
    """The tokens up to the end of this block, other blocks of the kind within it included."""
    found: list[Any] = []
    depth = 0
    waiting: Any = parser.tokens
    for token in reversed(waiting):
        word = token.contents.split()[:1] if token.token_type is TokenType.BLOCK else []
        depth += (word == ["cached"]) - (word == [_END])
        if depth < 0:
            break
        found.append((token.token_type.name, token.contents))
    return found
