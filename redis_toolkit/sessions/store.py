"""``SessionStore``: what Django asks of a session engine, synchronously and not.

That Redis is away is no answer: :class:`StoreUnavailable` goes through, ``unavailable`` remembers it, and the session
keeps its id, so that nobody's cookie is deleted for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from django.contrib.sessions.backends.base import CreateError, SessionBase
from django.http import HttpRequest

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.sessions import current, names
from redis_toolkit.sessions.asking import Ended, Steps, adrive, announce, announce_async, drive
from redis_toolkit.sessions.cycling import cycling, reading
from redis_toolkit.sessions.devices import origin
from redis_toolkit.sessions.ending import ending, finding
from redis_toolkit.sessions.fields import AUTH_USER, dumped
from redis_toolkit.sessions.outages import is_hidden
from redis_toolkit.sessions.records import Held
from redis_toolkit.sessions.saving import Wish, saving

__all__ = ["SessionStore"]

#: Ids have 165 random bits: one that is taken comes of something else.
_TRIES: Final = 3
#: Longest life in milliseconds, a hundred years: Redis refuses what its clock cannot tell.
_LONGEST: Final = 100 * 365 * 24 * 3600 * 1000


class SessionStore(SessionBase):
    """A session in Redis. One round trip to load, to save, to name anew or to end it."""

    _session_cache: dict[str, Any]
    #: The request it belongs to, where the list of devices is to tell from where it began.
    _request: ref[HttpRequest] | None = None

    if TYPE_CHECKING:  # (the stubs leave these two out)

        def _get_session(self, no_load: bool = False) -> dict[str, Any]: ...  # noqa: FBT001, FBT002

        async def _aget_session(self, no_load: bool = False) -> dict[str, Any]: ...  # noqa: FBT001, FBT002

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        #: Why the session could not be loaded, saved or ended, if so.
        self.unavailable: StoreUnavailable | None = None
        #: Whether a template has gone on without it, and nobody knows.
        self.is_missed = False
        #: Whether anything was written: only then is there something to tell the browser.
        self.has_written = False
        #: Whether somebody logs out: then the session ends by whatever id it has by now.
        self.is_log_out = False
        self._held = Held()
        self._replaces = False
        self._ended: list[Ended] = []
        self._writer = self.serializer()

    # ------------------------------------------------------------ Django's names

    def load(self) -> dict[str, Any]:
        """What the session holds; nothing, and no id any more, if there is none. Raises StoreUnavailable."""
        current.note(self)
        session: dict[str, Any] = self._do(self._loading())
        return session

    async def aload(self) -> dict[str, Any]:
        """:meth:`load`."""
        current.note(self)
        session: dict[str, Any] = await self._ado(self._loading())
        return session

    def create(self) -> None:
        """Begin a session, under a new id, with what this one holds."""
        before = self.session_key
        try:
            self._create()
        except BaseException:
            # There is no session of the new id.
            self._session_key = before
            raise
        self.modified = True

    async def acreate(self) -> None:
        """:meth:`create`."""
        before = self.session_key
        try:
            await self._acreate()
        except BaseException:
            # There is no session of the new id.
            self._session_key = before
            raise
        self.modified = True

    def save(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002 - Django's
        """Write what has changed since it was loaded.

        Raises UpdateError where the session has ended meanwhile; SessionTooLarge, SessionConflict, SessionLimitReached,
        StoreUnavailable.
        """
        if self.session_key is None:
            return self.create()
        self._get_session(no_load=must_create)
        if self.session_key is None:
            return self.create()
        self._do(self._saving(creates=must_create))
        return None

    async def asave(self, must_create: bool = False) -> None:  # noqa: FBT001, FBT002
        """:meth:`save`."""
        if self.session_key is None:
            return await self.acreate()
        await self._aget_session(no_load=must_create)
        if self.session_key is None:
            return await self.acreate()
        await self._ado(self._saving(creates=must_create))
        return None

    def exists(self, session_key: str | None) -> bool:
        """Whether there is a session of that id."""
        return bool(session_key) and self._do(finding(session_key or ""))

    async def aexists(self, session_key: str | None) -> bool:
        """:meth:`exists`."""
        return bool(session_key) and await self._ado(finding(session_key or ""))

    def delete(self, session_key: str | None = None) -> None:
        """End the session of that id, or this one; nothing is said where there is none."""
        self._do(self._deleting(session_key))

    async def adelete(self, session_key: str | None = None) -> None:
        """:meth:`delete`."""
        await self._ado(self._deleting(session_key))

    def cycle_key(self) -> None:
        """Give the session another id. A user's that has ended keeps its own, and saving it raises UpdateError."""
        self._get_session()
        if not self._do(self._cycling()):
            self.create()

    async def acycle_key(self) -> None:
        """:meth:`cycle_key`."""
        await self._aget_session()
        if not await self._ado(self._cycling()):
            await self.acreate()

    def clear(self) -> None:
        """Empty the session; saving it leaves nothing of what it held."""
        super().clear()
        self._replaces = True

    def is_empty(self) -> bool:
        """Whether there is neither an id nor anything in it.

        Where every request saves its session, one that is not there must be known before it is: an id that somebody has
        made up would become a record otherwise. (Reads Redis then, if nobody has.)
        """
        if self._is_unseen and settings.django("SESSION_SAVE_EVERY_REQUEST"):
            self._session_cache = self.load()
        return super().is_empty()

    @classmethod
    def clear_expired(cls) -> None:
        """Nothing: sessions run out by themselves."""

    @classmethod
    async def aclear_expired(cls) -> None:
        """Nothing."""

    # ------------------------------------------------------------ ours

    async def ais_empty(self) -> bool:
        """:meth:`is_empty`."""
        if self._is_unseen and settings.django("SESSION_SAVE_EVERY_REQUEST"):
            self._session_cache = await self.aload()
        return super().is_empty()

    @property
    def _is_unseen(self) -> bool:
        return self.session_key is not None and not hasattr(self, "_session_cache")

    def begun_by(self, request: HttpRequest) -> None:
        """Say whose it is, for the list of devices."""
        self._request = ref(request)

    def _do(self, steps: Steps[Any]) -> Any:
        try:
            return drive(steps)
        except StoreUnavailable as error:
            self._miss(error)
            raise
        finally:
            announce(self._ended)

    async def _ado(self, steps: Steps[Any]) -> Any:
        try:
            return await adrive(steps)
        except StoreUnavailable as error:
            self._miss(error)
            raise
        finally:
            await announce_async(self._ended)

    def _miss(self, error: StoreUnavailable) -> None:
        self.unavailable = error
        self.is_missed = self.is_missed or is_hidden()

    def _get_new_session_key(self) -> str:
        return names.fresh_id()

    async def _aget_new_session_key(self) -> str:
        return names.fresh_id()

    def _create(self) -> None:
        for attempt in range(_TRIES):
            self._begin()
            try:
                return self.save(must_create=True)
            except CreateError:
                if attempt == _TRIES - 1:
                    raise
        return None

    async def _acreate(self) -> None:
        for attempt in range(_TRIES):
            self._begin()
            try:
                return await self.asave(must_create=True)
            except CreateError:
                if attempt == _TRIES - 1:
                    raise
        return None

    def _begin(self) -> None:
        self._session_key = names.fresh_id()
        current.note(self)

    def _loading(self) -> Steps[dict[str, Any]]:
        found = None if self.session_key is None else (yield from reading(self.session_key, self._writer))
        if found is None:
            # Never the id that a client came up with.
            self._session_key = None
            self._held = Held()
            return {}
        self._held, session = found
        self._replaces = self._held.is_broken
        return session

    def _saving(self, *, creates: bool) -> Steps[None]:
        session = self._session_cache
        user = session.get(AUTH_USER)
        request = self._request and self._request()
        wish = Wish(
            session_id=self.session_key or "",
            fields=dumped(session, self._writer),
            name=None if user is None else str(user),
            life=self._life,
            mode="create" if creates else "replace" if self._replaces else "update",
            held=Held() if creates else self._held,
            serializer=self._writer,
            device=origin(request) if request and settings.SESSION_DEVICES else b"",
        )
        held = yield from saving(wish, self._ended)
        self.has_written = self.has_written or held is not wish.held
        self._held, self._replaces = held, False

    @property
    def _life(self) -> int:
        return min(round(self.get_expiry_age() * 1000), _LONGEST)

    def _cycling(self) -> Steps[bool]:
        old, session = self.session_key, self._session_cache
        if old is None:
            return False
        new = names.fresh_id(old)
        # (What will be replaced need not be sealed again.)
        kept = None if self._replaces else session
        held = yield from cycling(old, new, self._held, self._life, kept, self._writer)
        if held is None:
            # Of a session that somebody has ended no other is made. One of nobody may go on as another.
            self.modified = True
            self._held.asked = self._held.ends = 0.0
            return AUTH_USER in session
        self._held, self._session_key, self.modified = held, new, True
        return True

    def _deleting(self, session_key: str | None) -> Steps[None]:
        session_id = session_key or self.session_key
        if session_id is None:
            return
        is_own = session_id == self.session_key
        yield from ending(session_id, self._held if is_own else Held(), self._ended, follows=self.is_log_out)
        if is_own:
            self._held = Held()
