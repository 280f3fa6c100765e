"""Parts of templates that are remembered by ``{% cached %}``."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.db import transaction
from django.db.models import F
from django.template import Context, Engine, Library, RequestContext, TemplateSyntaxError
from django.test import RequestFactory
from django.utils import timezone, translation
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy

from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.testing.cache import assert_redis_round_trips
from tests.app.models import Lesson

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

LOAD = "{% load redis_toolkit %}"
#: Tags of this module's own.
register = Library()
TITLES = '{% cached 600 titles depends_on="app.Lesson" %}{% for each in lessons.all %}{{ each.title }};{% endfor %}{% endcached %}'


@pytest.fixture
def alias():
    """Fragments are answered for the one database that writes go to."""
    return "default"


class Calls:
    """Says how often it was really shown."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        return f"{self.made}"


@pytest.fixture
def calls():
    """Counts."""
    return Calls()


PROCESSORS = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]


@pytest.fixture
def show(term, calls):
    """Renders a template with the values that it is given."""
    libraries = {"redis_toolkit": "redis_toolkit.templatetags.redis_toolkit", "l10n": "django.templatetags.l10n"}

    def showing(
        source: str,
        request: Any = None,
        name: str | None = None,
        templates: Any = None,
        load: str = LOAD,
        **values: Any,
    ) -> str:
        loaders = [("django.template.loaders.locmem.Loader", templates or {})]
        engine = Engine(loaders=loaders, libraries=libraries, context_processors=PROCESSORS)
        template = engine.from_string(load + source) if name is None else engine.get_template(name)
        values = {"calls": calls, "lessons": Lesson.objects.order_by("pk"), **values}
        autoescape = values.pop("autoescape", True)
        context = Context(values, autoescape=autoescape) if request is None else RequestContext(request, values)
        return template.render(context)

    return showing


def block(inside: str = "{{ calls }}", vary: str = "", ttl: str = "600", name: str = "x") -> str:
    """A cached block."""
    return f'{{% cached {ttl} {name} {vary} depends_on="app.Lesson" %}}{inside}{{% endcached %}}'


def test_a_block_is_remembered_and_ends_with_a_write(show, term, cost):
    """The block asks the database once, is marked safe both times, and shows a write that was committed."""
    with cost() as it:
        first, second = show(TITLES), show(TITLES)
    assert first == second == "".join(f"Lesson {at};" for at in range(10))
    assert (type(second), it.queries) == (SafeString, 1)
    assert it.outcomes == [("fragment", "miss"), ("fragment", "hit")]
    Lesson.objects.filter(slug="lesson-0").update(title="a<b")
    assert show(TITLES).startswith("a&lt;b;Lesson 1;")


def test_what_blocks_cost(show):
    """A miss is 3 round trips to Redis, a hit 1."""
    for trips in (3, 1):
        with assert_redis_round_trips(trips):
            show(TITLES)


def test_in_the_transaction_that_writes(show):
    """A transaction that wrote the model is shown its own writes, and they are stored for nobody."""
    before = show(TITLES)
    with transaction.atomic():
        Lesson.objects.update(title="mine")
        assert show(TITLES) == "mine;" * 10
        transaction.set_rollback(True)
    assert show(TITLES) == before


VALUES: dict[str, tuple[Any, Any]] = {
    "numbers": (1, 2),
    "number and text": (1, "1"),
    "true and one": (True, 1),
    "nothing and empty": (None, ""),
    "text and the same marked safe": ("<b>", mark_safe("<b>")),
    "colons": ("a:b", "a"),
    "lists": (["a", "b"], ["a,b"]),
    "bytes of another kind": ("\ud800", "\ufffd"),
    "long text": ("x" * 100_000, "x" * 100_001),
}


@pytest.mark.parametrize("pair", VALUES.values(), ids=VALUES)
def test_values_to_vary_by(show, calls, pair):
    """Values that may look otherwise are never shown each other's block."""
    source = block("{{ calls }}{% if value is None %}none{% endif %}", "value")
    seen = [show(source, value=value) for value in (*pair, *pair)]
    assert seen[:2] == seen[2:]
    assert calls.made == 2


def test_two_values_are_not_one(show, calls):
    """Where one value ends and the next begins is part of what is asked."""
    source = block(vary="a b")
    assert show(source, a="x", b="yz") != show(source, a="xy", b="z")


def test_rows_to_vary_by(show, term, calls):
    """A row counts with all it has loaded: whoever holds an older one is shown what it has, and stores it for no other."""
    source = block("{{ lesson.title }}{% if calls %}{% endif %}", "lesson")
    old, new = term.again(0), term.again(0)
    Lesson.objects.filter(pk=old.pk).update(title="new")
    new.refresh_from_db()
    assert [show(source, lesson=each) for each in (old, new, old, new)] == ["Lesson 0", "new"] * 2
    assert calls.made == 2


def test_lazy_text_to_vary_by(show, calls):
    """Text that is translated late counts as what it is in the language of now."""
    for language in ("en", "de", "en"):
        with translation.override(language):
            show(block(vary="value"), value=gettext_lazy("Monday"))
    assert calls.made == 2


@pytest.mark.parametrize(
    "value",
    [object(), AnonymousUser(), Lesson.objects.all(), Lesson(weekday=F("period"))],
    ids=lambda value: type(value).__name__,
)
def test_values_that_nothing_can_be_remembered_by(show, calls, caplog, value):
    """With a value that cannot be told from others the block is shown anew each time, and the log says so once."""
    with caplog.at_level("INFO", "redis_toolkit.cache"):
        seen = [show(block(vary="value"), value=value) for _ in range(2)]
    assert seen == ["1", "2"]
    assert "The fragment 'x' of None is not cached: " in caplog.messages[0]


def test_a_value_that_is_not_there(show, calls):
    """A misspelt name is no value that all would share: the block is shown anew each time."""
    assert [show(block(vary="usr.pk")) for _ in range(2)] == ["1", "2"]


WAYS = {
    "language": lambda show, source: [_in(translation.override(each), show, source) for each in ("de", "it")],
    "time zone": lambda show, source: [_in(timezone.override(each), show, source) for each in ("UTC", "Asia/Tokyo")],
    "escaping": lambda show, source: [show(source, autoescape=each) for each in (True, False)],
    "escaping by a block": lambda show, source: [show(source), show(f"{{% autoescape off %}}{source}{{% endautoescape %}}")],
    "localisation": lambda show, source: [show(source), show(f"{{% load l10n %}}{{% localize off %}}{source}{{% endlocalize %}}")],
    "source": lambda show, source: [show(source), show(source.replace("{{ calls }}", "{{ calls }}!"))],
    "source of a nested block": lambda show, source: [
        show(block(block("{{ calls }}", name="in") + end, name="out")) for end in ("", "!")
    ],
    "name": lambda show, source: [show(source), show(source.replace(" x ", " y "))],
    "template": lambda show, source: [
        show("", name=name, templates=dict.fromkeys("ab", LOAD + source)) for name in "ab"
    ],
}  # fmt: skip


def _in(state, show, source):
    with state:
        return show(source)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_keeps_blocks_apart_unasked(show, calls, way):
    """What changes the text without being named keeps blocks apart: each is shown once, and then remembered."""
    source = block()
    first = way(show, source)
    assert len(set(first)) == 2
    # (The blocks count how often they are shown.)
    assert way(show, source) == first


def test_nothing_is_left_in_the_context(show):
    """What a block puts into the context is gone behind it, after a miss as after a hit."""
    source = block("{% cycle 'a' 'b' as letter silent %}{{ letter }}") + "[{{ letter }}]"
    assert [show(source) for _ in range(2)] == ["a[]", "a[]"]


def test_an_error_is_kept_for_nobody(show, calls):
    """What is raised in a block reaches the caller each time, and the context is as it was."""

    def fail():
        calls()
        raise LookupError("no")

    for _ in range(2):
        with pytest.raises(LookupError):
            show(block("{{ fail }}"), fail=fail)
    assert calls.made == 2


# Visitors


@pytest.fixture
def ask():
    """Makes requests of users."""

    def asking(name: str = "", path: str = "/", **cookies: str) -> Any:
        request: Any = RequestFactory().get(path)
        request.COOKIES.update(cookies)
        request.session = SessionStore()
        request.session["cart"] = name
        request.user = User(pk=len(name), username=name) if name else AnonymousUser()
        return request

    return asking


PERSONAL = {
    "user": "{{ user.username }}",
    "request.user": "{{ request.user.username }}",
    "request in a loop": "{% for each in '1' %}{{ request.user }}{% endfor %}",
    "included": "{% include 'who' %}",
    "permissions": "{% if perms.app.x %}x{% endif %}",
    "messages": "{% for each in messages %}{{ each }}{% endfor %}",
    "session": "{{ request.session.cart }}",
    "cookies": "{{ request.COOKIES.theme }}",
    "token": "{% csrf_token %}",
    "path": "{{ request.path }}",
}


@pytest.mark.parametrize("inside", PERSONAL.values(), ids=PERSONAL)
def test_a_block_that_looks_at_the_visitor(show, ask, calls, redis_client, inside):
    """A block that shows something of the visitor, and is not said to vary by it, is stored for nobody."""
    for name in ("ann", "bobby"):
        show(block("{{ calls }}" + inside), ask(name), templates={"who": "{{ user }}"})
    assert calls.made == 2
    assert redis_client.keys("rt:f:*") == []


def test_a_token_that_the_page_has_used_already(show, ask, calls):
    """A token is noticed in a block though the page around it has asked for it before."""
    for _ in range(2):
        show("{% csrf_token %}" + block("{{ calls }}{% csrf_token %}"), ask("ann"))
    assert calls.made == 2


ALLOWED = {
    "user.pk": "{{ user.username }}{{ request.user.username }}{% if perms.app.x %}x{% endif %}",
    "request.user.pk": "{{ user.username }}",
    "request.session.cart": "{{ request.session.cart }}",
    "request.COOKIES.theme": "{{ request.COOKIES.theme }}",
    "request.path": "{{ request.path }}",
}


@pytest.mark.parametrize(("vary", "inside"), ALLOWED.items(), ids=ALLOWED)
def test_a_block_that_varies_by_the_visitor(show, ask, calls, vary, inside):
    """A block that is said to vary by what it looks at is remembered for each."""
    source = block("{{ calls }}" + inside, vary)
    visitors = {"ann": {"path": "/a", "theme": "dark"}, "bobby": {"path": "/b", "theme": "light"}}
    seen = [show(source, ask(name, **how)) for _ in range(2) for name, how in visitors.items()]
    assert seen[:2] == seen[2:]
    assert seen[0] != seen[1]
    assert calls.made == 2


@pytest.mark.parametrize("inside", ["user", "session", "cookies", "token"])
def test_to_vary_by_a_path_is_not_to_vary_by_the_visitor(show, ask, calls, inside):
    """A block that varies by another part of the request may not show the visitor."""
    source = block("{{ calls }}" + PERSONAL[inside], "request.path")
    for name in ("ann", "bobby"):
        show(source, ask(name))
    assert calls.made == 2


def test_a_block_within_a_block(show, term, calls):
    """A block around one that depends on more is stored for nobody; around one that depends on no more it is."""
    inner = '{% cached 600 in depends_on="app.Lesson,app.Group" %}{{ calls }}{% endcached %}'
    for _ in range(2):
        show(f'{{% cached 600 out depends_on="app.Lesson" %}}{inner}{{% endcached %}}')
    assert calls.made == 1
    term.groups[0].save()
    assert show(f'{{% cached 600 out depends_on="app.Lesson" %}}{inner}{{% endcached %}}') == "2"
    around = '{% cached 600 out depends_on="app.Lesson,app.Group" %}' + inner + "{{ calls }}{% endcached %}"
    assert show(around) == show(around) == "23"


# What is written wrongly


def test_lives(show, redis_client, settings):
    """``ttl`` is a number or a variable; None is the setting's."""
    settings.REDIS_TOOLKIT_TTL_JITTER = 0
    settings.REDIS_TOOLKIT_CACHE_TTL = 500
    for ttl, seconds in (("7", 7), ("life", 90), ("None", 500)):
        show(block(ttl=ttl), life=90)
        (key,) = redis_client.keys("rt:f:*")
        assert seconds * 1000 - 5000 < redis_client.pttl(key) <= seconds * 1000
        redis_client.delete(key)


WRONG = {
    "no models": ("{% cached 60 x %}{% endcached %}", "takes a ttl, a name, and what it depends on"),
    "no name": ('{% cached 60 depends_on="app.Lesson" %}{% endcached %}', "takes a ttl, a name, and what"),
    "empty": ('{% cached 60 x depends_on="" %}{% endcached %}', "needs at least one model"),
    "no ttl": ('{% cached "x" x depends_on="app.Lesson" %}{% endcached %}', "is a number of seconds or None, not 'x'"),
    "past": ('{% cached -1 x depends_on="app.Lesson" %}{% endcached %}', "A ttl is a positive number"),
    "no end": ('{% cached 60 x depends_on="app.Lesson" %}', "Unclosed tag"),
    "a number": ("{% cached 60 x depends_on=number %}{% endcached %}", "depends_on of {% cached %} names models"),
}


@pytest.mark.parametrize(("source", "message"), WRONG.values(), ids=WRONG)
def test_wrong_tags(show, source, message):
    """What can never work is an error of the template, which says what to write."""
    with pytest.raises(TemplateSyntaxError, match=message):
        show(source, number=[5])


def test_models_that_cannot_be(show):
    """A model that is not there or that nobody watches is refused by the name of the block."""
    for model in ("app.Nobody", "app.Unwatched"):
        with pytest.raises(Misconfigured, match=rf"{{% cached %}} x in None depends on '?{model}"):
            show(f'{{% cached 60 x depends_on="app.Lesson, {model}" %}}{{% endcached %}}')


def test_models_in_a_variable(show, calls):
    """What a block depends on may be a list of models."""
    source = "{% cached 60 x depends_on=models %}{{ calls }}{% endcached %}"
    assert show(source, models=[Lesson]) == show(source, models=[Lesson]) == "1"
    Lesson.objects.update(title="x")
    assert show(source, models=[Lesson]) == "2"


def test_a_block_in_a_template_that_others_include_or_extend(show, calls):
    """A cached part of a template is remembered as well where another template includes or extends that."""
    templates = {
        "part": LOAD + block(),
        "around": '{% include "part" %}',
        "above": '{% extends "part" %}',
    }
    assert [show("", name=name, templates=templates) for name in ("around", "above", "part", "around")] == ["1"] * 4
    assert calls.made == 1


def test_blocks_that_another_template_fills_in(show):
    """A cached part of a base template is another for each template that fills in its blocks, at any depth."""
    templates = {
        "base": LOAD + block("{% block nav %}base{% endblock %}"),
        "a": '{% extends "base" %}{% block nav %}a{% block inner %}{% endblock %}{% endblock %}',
        "b": '{% extends "base" %}{% block nav %}b{% endblock %}',
        "c": '{% extends "a" %}{% block inner %}c{% endblock %}',
    }
    for _ in range(2):
        shown = {name: show("", name=name, templates=templates) for name in templates}
        assert shown == {"base": "base", "a": "a", "b": "b", "c": "ac"}


def test_blocks_of_templates_without_a_name(show):
    """What fills in a block and has no name cannot be told from others, and is kept for nobody."""
    templates = {"base": LOAD + block("{% block nav %}base{% endblock %}")}
    for text in ("a", "b") * 2:
        source = f'{{% extends "base" %}}{{% block nav %}}{text}{{% endblock %}}'
        assert show(source, load="", templates=templates) == text


@register.simple_tag(takes_context=True)
def flattened_user(context):
    """Who the visitor is, as tags say it that flatten the context."""
    return context.flatten()["user"]


@register.simple_tag(takes_context=True)
def user_of_request(context):
    """Who the visitor is, by the request that the context has beside its names."""
    return context.request.user


@register.simple_tag(takes_context=True)
def accepted_by_request(context):
    """What the visitor accepts."""
    return context.request.headers["accept"]


def test_a_tag_that_reads_a_header(term):
    """A tag that reads a header of the context's ``request`` makes a block that is kept for nobody."""
    libraries = {"redis_toolkit": "redis_toolkit.templatetags.redis_toolkit", "here": __name__}
    template = Engine(libraries=libraries).from_string(LOAD + "{% load here %}" + block("{% accepted_by_request %}"))
    for accept in ("a", "b"):
        assert template.render(RequestContext(RequestFactory().get("/", headers={"accept": accept}))) == accept


@pytest.mark.parametrize("tag", ["flattened_user", "user_of_request"])
@pytest.mark.parametrize("processors", [PROCESSORS, PROCESSORS[1:]], ids=["with request", "without"])
def test_tags_that_find_the_visitor_another_way(term, tag, processors):
    """A tag that goes through the whole context, or takes its ``request``, makes a block that is kept for nobody."""
    libraries = {"redis_toolkit": "redis_toolkit.templatetags.redis_toolkit", "here": __name__}
    engine = Engine(libraries=libraries, context_processors=processors)
    template = engine.from_string(LOAD + "{% load here %}" + block("{% " + tag + " %}"))
    for name in ("ann", "bob"):
        request = RequestFactory().get("/")
        request.user = User(username=name)
        assert template.render(RequestContext(request)) == name


def test_a_nonce_in_a_block(show):
    """A block with the nonce of a Content Security Policy, which is for one response, is kept for nobody."""
    for nonce in ("one", "two"):
        assert show(block("{{ csp_nonce }}"), csp_nonce=nonce) == nonce
