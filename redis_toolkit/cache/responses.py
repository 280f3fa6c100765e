"""Responses as plain values, and back: what may be kept of a view's answer, and the headers that go with it."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from django.utils.http import parse_http_date_safe, quote_etag

from redis_toolkit.core.codecs import decode_value, encode_value
from redis_toolkit.exceptions import CodecError

__all__ = ["conditional", "label", "may_be_kept", "pack_response", "read_response", "varies_by"]

#: What a decorator leaves on a response for a middleware to find.
_FLAGS: Final = ("xframe_options_exempt",)
#: The same, of kinds that are not plain values: whoever uses them is not given a kept response.
_OVERRIDES: Final = ("_csp_config", "_csp_ro_config")


def varies_by(response: HttpResponse) -> set[str]:
    """The headers named in ``Vary``, in lower case."""
    return _words(response.get("Vary", ""))


def may_be_kept(response: HttpResponseBase, statuses: Iterable[int], *, private: bool) -> bool:
    """Whether a response is whole, of one of these statuses, sets no cookie, and does not say that it is private."""
    if not isinstance(response, HttpResponse) or response.streaming or response.status_code not in statuses:
        return False
    if response.cookies or response.has_header("Set-Cookie") or any(hasattr(response, name) for name in _OVERRIDES):
        return False
    said = {word.partition("=")[0] for word in _words(response.get("Cache-Control", ""))}
    return said.isdisjoint({"no-store"} if private else {"no-store", "private"})


def label(response: HttpResponse, vary: Iterable[str], max_age: float | None, *, private: bool) -> None:
    """Give a response the headers by which browsers stay as exact as the cache is.

    An ETag, and ``no-cache`` (ask whether it is still so, each time) unless there is a ``max_age`` in seconds, or the
    view has said how old it may be.
    """
    for name in vary:
        # One by one: without any, Django would make a header that names none.
        patch_vary_headers(response, [name])
    words = {word.partition("=")[0] for word in _words(response.get("Cache-Control", ""))}
    if words.isdisjoint({"max-age", "no-cache"}):
        patch_cache_control(response, **({"no_cache": True} if max_age is None else {"max_age": round(max_age)}))
    if private:
        patch_cache_control(response, private=True)
    if not response.has_header("ETag"):
        about = [response.get(name, "") for name in ("Content-Type", "Content-Language", "Content-Encoding")]
        digest = blake2b(repr(about).encode(), digest_size=16)
        digest.update(response.content)
        response["ETag"] = quote_etag(digest.hexdigest())


def conditional(request: HttpRequest, response: Any) -> Any:
    """The response, or the one that says that the visitor has it already (304), or not what he thought (412)."""
    if not isinstance(response, HttpResponse) or not response.has_header("ETag"):
        return response
    modified = response.get("Last-Modified")
    stamp = None if modified is None else parse_http_date_safe(modified)
    return get_conditional_response(request, etag=response["ETag"], last_modified=stamp, response=response)


def pack_response(response: HttpResponse) -> bytes:
    """A response as bytes. Raises CodecError."""
    headers = [(str(name), str(value)) for name, value in response.items()]
    flags = [name for name in _FLAGS if getattr(response, name, False)]
    return encode_value([response.status_code, str(response.reason_phrase), headers, bytes(response.content), flags])


def read_response(payload: bytes) -> HttpResponse:
    """The response that :func:`pack_response` was given. Raises CodecError."""
    try:
        status, reason, headers, content, flags = decode_value(payload)
        response = HttpResponse(content, status=status, reason=reason, headers=dict(headers))
        named = {name.lower() for name, _ in headers}
    except (TypeError, ValueError, AttributeError) as error:
        raise CodecError("A stored response is damaged.") from error
    if "content-type" not in named:
        # Django has given it one.
        del response["Content-Type"]
    for name in _FLAGS:
        if name in flags:
            setattr(response, name, True)
    return response


def _words(header: str) -> set[str]:
    return {word.strip() for word in header.lower().split(",") if word.strip()}
