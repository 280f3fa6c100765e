"""Parts of templates, remembered: the node behind ``{% cached %}``.

A block is known by its source, so that a deployment that changes it finds nothing old; by the values it is said to vary
by; and by what else changes its text without being named: language, time zone, escaping, localisation.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from decimal import Decimal
from typing import Any, Final

from django.db.models import Model
from django.http import HttpRequest
from django.template import Context, Node, NodeList, TemplateSyntaxError, VariableDoesNotExist
from django.template.base import UNKNOWN_SOURCE, FilterExpression, Variable
from django.template.loader_tags import BLOCK_CONTEXT_KEY, BlockNode
from django.utils.functional import SimpleLazyObject
from django.utils.safestring import mark_safe
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import get_language

from redis_toolkit.cache import visits
from redis_toolkit.cache.asking import ask
from redis_toolkit.cache.freshness import terms
from redis_toolkit.cache.memos import Memo
from redis_toolkit.cache.portraits import portrait
from redis_toolkit.cache.reading import Loaded
from redis_toolkit.cache.telling import alone
from redis_toolkit.core import keys
from redis_toolkit.core.codecs import decode_value, encode_value
from redis_toolkit.exceptions import CodecError, Misconfigured

__all__ = ["FragmentNode", "fingerprint"]

_log = logging.getLogger("redis_toolkit.cache")
#: Names that tell of the visitor. A block that asks for one, and is not said to vary by it, is kept for nobody.
_PERSONAL: Final = frozenset({"csp_nonce", "messages", "perms", "request", "user"})
#: How templates call what was looked at.
_NAMES: Final = {"cookies": "COOKIES"}
_TOKEN: Final = "csrf_token"  # noqa: S105 - the name of one


def fingerprint(source: Sequence[Any]) -> str:
    """What tells the source of a block from others."""
    return keys.digest(encode_value(list(source)))


class FragmentNode(Node):
    """A block of a template, from the cache where it can be."""

    child_nodelists = ("nodelist",)

    def __init__(
        self, nodelist: NodeList, ttl: FilterExpression, about: tuple[str, str, str], depends_on: FilterExpression,
        vary: Sequence[FilterExpression],
    ) -> None:  # fmt: skip
        self.nodelist = nodelist
        self._ttl = ttl
        self._about = about
        self._depends_on = depends_on
        self._vary = tuple(vary)
        self._has_blocks = bool(nodelist.get_nodes_by_type(BlockNode))
        self._memos: dict[Any, Memo] = {}
        self._said = False
        names = [each.var.var for each in vary if isinstance(each.var, Variable) and isinstance(each.var.var, str)]
        #: What the block may ask for: of names, and of what hangs on the request.
        self._told = {name.partition(".")[0] for name in names} - {"messages"}
        self._told |= {part for part in ("user", "session", "COOKIES") for name in names if _is_of(name, part)}
        if "user" in self._told:
            self._told |= {"perms", "request"}

    def render(self, context: Context) -> Any:
        """The text of the block, marked safe. Raises TemplateSyntaxError for a ttl or a model that cannot be."""
        memo, asked = self._memo(context), self._asked(context)
        if asked is None:
            with alone("fragment", None, memo.alias, memo.name):
                return self._show(context, [])[0]

        def load() -> Loaded:
            text, heard = self._show(context, question.tables)
            return Loaded(text, encode_value(str.__str__(text)), is_kept=heard <= self._told)

        question, source = memo.question("fragment", asked, load, lambda data: mark_safe(decode_value(data)))  # noqa: S308
        for layer in context.dicts:
            if isinstance(layer, _Listener) and not layer.tables.issuperset(question.tables):
                # The block around this one would outlive it.
                layer.heard.add("more tables")
        return ask(question, source)

    def _show(self, context: Context, tables: Sequence[str]) -> tuple[Any, set[str]]:
        """The text of the block, and what it asked for that tells of the visitor."""
        layer = _Listener(context, tables)
        # (Not by its name first: a block around this one would hear that.)
        request = getattr(context, "request", None) or context.get("request")
        nobody = nullcontext(visits.Looks(set(), set()))
        with visits.listening(request) if isinstance(request, HttpRequest) else nobody as looks:
            # What the block leaves in the context is gone with this layer, after a miss as after a hit.
            context.dicts.append(layer)
            try:
                text = self.nodelist.render(context)
            finally:
                context.dicts.pop()
        # (A header that is no part of the key is a look at the request, by whatever way it was had.)
        heard = {_NAMES.get(look, look) for look in looks.at} | ({"request"} if looks.headers else set())
        return text, layer.heard | heard

    def _asked(self, context: Context) -> bytes | None:
        """What is asked; None, logged once, where a value to vary by is missing or cannot be told from others."""
        try:
            vary = [portrait(_resolved(each, context)) for each in self._vary]
            how = (context.autoescape, context.use_l10n, context.use_tz, get_language(), get_current_timezone_name())
            filled = _filled(context) if self._has_blocks else None
            return encode_value(("fragment", self._about, how, vary, filled))
        except (CodecError, VariableDoesNotExist) as error:
            if not self._said:
                self._said = True
                _log.info("The fragment %r of %s is not cached: %s", self._about[1], self._about[0], str(error))
            return None

    def _memo(self, context: Context) -> Memo:
        ttl, given = self._ttl.resolve(context), self._depends_on.resolve(context)
        models = tuple(filter(None, map(str.strip, given.split(",")))) if isinstance(given, str) else tuple(given or ())
        if ttl is not None and not isinstance(ttl, int | float | Decimal):
            raise TemplateSyntaxError(f"The ttl of {{% cached %}} is a number of seconds or None, not {ttl!r}.")
        if not all(isinstance(each, str) or (isinstance(each, type) and issubclass(each, Model)) for each in models):
            raise TemplateSyntaxError(f"depends_on of {{% cached %}} names models, as app.Model, not {given!r}.")
        memo = self._memos.get((ttl, models))
        if memo is None:
            what = f"{{% cached %}} {self._about[1]} in {self._about[0]}"
            try:
                own = terms(None if ttl is None else float(ttl), None, None)
                memo = Memo(what, models, own, self._about[1], is_checked=False)
            except (Misconfigured, ValueError) as error:
                raise TemplateSyntaxError(str(error)) from error
            if len(self._memos) < 100:
                self._memos[ttl, models] = memo
        return memo


def _resolved(expression: FilterExpression, context: Context) -> Any:
    """A value to vary by. Raises VariableDoesNotExist: a name that is not there would be one entry for everybody."""
    if isinstance(expression.var, Variable):
        expression.var.resolve(context)
    return expression.resolve(context)


def _filled(context: Context) -> list[tuple[str, list[str]]]:
    """Which templates fill in the blocks of the one that is shown. Raises CodecError where one has no name."""
    found: Any = getattr(context.render_context.get(BLOCK_CONTEXT_KEY), "blocks", {})
    named = [(str.__str__(name), [str.__str__(str(each.origin)) for each in nodes]) for name, nodes in found.items()]
    if any(UNKNOWN_SOURCE in origins for _, origins in named):
        raise CodecError("a block in it is filled in by a template without a name.")
    return sorted(named)


def _is_of(name: str, part: str) -> bool:
    """Whether ``name``, as it stands in a template, is of this part of the request."""
    return f"{name}.".startswith((f"{part}.", f"request.{part}."))


class _Listener(dict[str, Any]):
    """A layer of a context that has nothing and hears what is looked for; but the token, which tells of its use."""

    def __init__(self, context: Context, tables: Sequence[str]) -> None:
        super().__init__()
        self.tables = frozenset(tables)
        self.heard: set[str] = set()
        token = context.get(_TOKEN)
        if token is not None:

            def use() -> str:
                self.heard.add(_TOKEN)
                return str(token)

            self[_TOKEN] = SimpleLazyObject(use)

    def __contains__(self, name: object) -> bool:
        is_here = super().__contains__(name)
        if name in _PERSONAL and not is_here:
            self.heard.add(str(name))
        return is_here

    def __iter__(self) -> Iterator[str]:
        # Whoever goes through it goes through those beneath as well.
        self.heard.add("everything")
        return super().__iter__()

    def keys(self) -> Any:
        self.heard.add("everything")
        return super().keys()
