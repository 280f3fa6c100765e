"""One of a contestant's processes: its callers get ready, meet, and ask at the same moment."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection

from bench.stampede import readers
from bench.stopwatch import versions

__all__ = ["Callers", "Coroutines", "callers"]

_READY = 60  # seconds in which everybody is ready
_STIR = 0.1  # seconds before the gate opens in which each process reads something else
_THREADS = 8  # of an event loop: what its callers share to ask the database


class _Answers:
    """What the callers were told, or were thrown, and after how many seconds."""

    def __init__(self, count: int) -> None:
        self.waits: list[float] = []
        self.topics: Counter[str] = Counter()
        self.errors: list[str] = []
        self.all_here = threading.Event()
        self._count = count
        self._lock = threading.Lock()

    def answered(self, wait: float, topic: str) -> None:
        """A caller has an answer."""
        with self._lock:
            self.topics[topic] += 1
            self._note(wait)

    def failed(self, wait: float, error: Exception) -> None:
        """A caller has an exception."""
        with self._lock:
            self.errors.append(f"{type(error).__name__}: {error}")
            self._note(wait)

    def told(self) -> dict[str, Any]:
        """All of it, for the driver."""
        with self._lock:
            unanswered = self._count - len(self.waits)
            return {"waits": self.waits, "topics": self.topics, "errors": self.errors, "unanswered": unanswered}

    def _note(self, wait: float) -> None:
        self.waits.append(wait)
        if len(self.waits) == self._count:
            self.all_here.set()


class Callers:
    """Threads that meet at a barrier. The orders a worker understands; every public method is one."""

    def __init__(self, reader: Any, count: int) -> None:
        self.reader = reader
        self.count = count
        self._gate = threading.Barrier(count + 1)
        self._answers = _Answers(count)

    def versions(self) -> dict[str, str]:
        """What answers at the other end of this worker's connections."""
        found = versions()
        connection.close()
        return found

    def about(self) -> dict[str, Any]:
        """What the key of the entry looks like, and whether what is past a soft time may be served."""
        return {"entry": self.reader.entry, "servable": self.reader.servable}

    def write(self, topic: str) -> None:
        """Save the lesson."""
        self.reader.write(topic)
        connection.close()

    def warm(self, *, soft: bool) -> None:
        """Have the answer stored."""
        self.reader.ask(soft=soft)
        connection.close()

    def ready(self, *, soft: bool) -> None:
        """Start the callers. Each connects, reads the answer, which is there, and then stands at the gate."""
        self._answers = _Answers(self.count)
        self._gate = threading.Barrier(self.count + 1)
        for _ in range(self.count):
            threading.Thread(target=self._stand, kwargs={"soft": soft}, daemon=True).start()
        try:
            self._gate.wait(_READY)
        except threading.BrokenBarrierError:
            raise RuntimeError(f"a caller did not get ready: {self._answers.errors}") from None

    def go(self, at: float, patience: float) -> dict[str, Any]:
        """Open the gate at that time (``time.perf_counter``, which processes share on Linux); what the callers say.

        ``late``: how many seconds after that time the gate was opened.
        """
        time.sleep(max(0.0, at - _STIR - time.perf_counter()))
        self.reader.stir()
        time.sleep(max(0.0, at - time.perf_counter()))
        late = time.perf_counter() - at
        self._open()
        self._answers.all_here.wait(patience)
        self._answers.all_here.set()
        return {"late": late, **self._answers.told()}

    def _open(self) -> None:
        self._gate.wait(_READY)

    def _stand(self, *, soft: bool) -> None:
        answers = self._answers
        began = time.perf_counter()
        try:
            try:
                connection.ensure_connection()
                self.reader.ask(soft=soft)
            except Exception:
                self._gate.abort()
                raise
            self._gate.wait(_READY)  # everybody is here
            self._gate.wait(_READY)  # and is let go
            began = time.perf_counter()
            topic = self.reader.ask(soft=soft)
            answers.answered(time.perf_counter() - began, topic)
        except Exception as error:  # noqa: BLE001 - what a caller's user would see
            answers.failed(time.perf_counter() - began, error)
        finally:
            # (Closing takes the processor from those who have no answer yet.)
            answers.all_here.wait(_READY)
            connection.close()


class Coroutines(Callers):
    """The same for a reader of asyncio: its callers are coroutines of one event loop, which runs in a thread."""

    def __init__(self, reader: Any, count: int) -> None:
        super().__init__(reader, count)
        self._soft = False
        self._threads = ThreadPoolExecutor(_THREADS)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._run(self._arrange())

    def warm(self, *, soft: bool) -> None:
        """Have the answer stored."""
        self._run(self.reader.aask(soft=soft))

    def ready(self, *, soft: bool) -> None:
        """Connect in every thread, and read the answer, which is there."""
        self._answers = _Answers(self.count)
        self._soft = soft
        meeting = threading.Barrier(_THREADS)

        def connect() -> None:
            connection.ensure_connection()
            meeting.wait(_READY)  # so that no thread takes two of these

        for done in [self._threads.submit(connect) for _ in range(_THREADS)]:
            done.result(_READY)
        self._run(self.reader.aask(soft=soft))

    def _open(self) -> None:
        async def callers() -> None:
            await asyncio.gather(*(self._ask() for _ in range(self.count)))

        asyncio.run_coroutine_threadsafe(callers(), self._loop)

    async def _ask(self) -> None:
        answers = self._answers
        began = time.perf_counter()
        try:
            topic = await self.reader.aask(soft=self._soft)
            answers.answered(time.perf_counter() - began, topic)
        except Exception as error:  # noqa: BLE001 - what a caller's user would see
            answers.failed(time.perf_counter() - began, error)

    async def _arrange(self) -> None:
        async def in_a_thread(work: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

        self.reader.arrange(in_a_thread)

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_READY)


def callers(reader: str, count: int) -> Callers:
    """The callers of a reader of that name."""
    made = getattr(readers, reader)()
    return (Coroutines if hasattr(made, "aask") else Callers)(made, count)
