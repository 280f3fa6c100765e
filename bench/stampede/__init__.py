"""Many readers of one answer that is gone, at the same moment: ``python -m bench stampede``.

Four processes of fifty callers each meet, and ask for one row whose query takes the database 50 ms. How often is it
asked, and how long does who wait? Each contestant is played in five ways (``plan.SCENARIOS``):

- *present*: nothing has happened, and all are hits. So long a crowd of that size waits on this machine for nothing but
  each other, and the other figures hold this, too.
- *expired*: the entry's time in Redis has run out. So that nobody's runs out while it is played, entries live for a
  minute, and the driver lets this one expire (``PEXPIRE``); locks and stamps stay as they are.
- *invalidated*: the row was saved and the transaction has ended. Only of those who notice writes by themselves; with
  the others it is a key deleted by hand, which is the same as *expired*.
- *servable*: past the soft time and within the hard one. Only of those who have two times. Nothing is forced here: the
  soft time runs out.
- *killed*: as *expired*, and ``kill -9`` ends the process whose load is the first, in the middle of the load, with all
  its callers.

How everybody is set up, and why (``settings.py``, ``readers.py``):

- redis_toolkit: ``CacheManager`` as in its README, and defaults; the function of the database that is asked has to be
  named in ``REDIS_TOOLKIT_FUNCTIONS``, and nobody waits for another's load longer than ``plan.BOUND``
  (``REDIS_TOOLKIT_FLIGHT_WAIT``). Servable: ``fresh=``. Versions before either do without. Once as a queryset, as the
  caches of the ORM, and once as a function with ``@cached``, as the caches of keys: who asks by a queryset makes it
  first, also on a hit, and of two hundred who do that at once most of the time goes there.
- django-cacheops: ``ops`` on the model as in its README, and once more with ``.cache(lock=True)``, which its README
  recommends for heavy queries. Its lock stands for 60 s; that is a constant.
- django-cachalot: nothing but its app and a time-out. It has no lock and no soft time.
- dogpile.cache: Redis backend, ``distributed_lock`` and no ``thread_local_lock`` as in its documentation;
  ``lock_timeout`` is ``plan.BOUND``. Servable is its way after ``expiration_time``: one loads, at once and for himself,
  the others take the old value.
- cashews: ``@cache(lock=True)``; its lock stands as long as the entry may live: there is no setting. Servable:
  ``@cache.early``, whose background refresh its documentation recommends for what is asked often. It is for asyncio
  alone, so its callers are coroutines of one event loop in each process, and the query runs in a thread as Django's
  ``sync_to_async`` would have it.
- Django: its own ``RedisCache`` and ``get_or_set``, which has no lock.
- A bare GET by redis-py, of what is there: nobody's crowd of threads is quicker.

Where a time-out or a pool has a default, that is what is measured: redis-py's of 5 s for an answer, say, which is
shorter than django-cacheops' wait for its lock. Everybody asks by the same queryset, on a connection that is open
already, and has read the answer once before. A moment before the gate opens each process reads another row, as a site
in use does; connections are closed when all have their answers; and nobody else is at work meanwhile. The load counts
itself: the function takes the next number of a sequence, which is exact whoever dies. What a caller waits is timed by
the caller, from his call to his answer or exception; who has neither after ``Pace.patience`` seconds is *unanswered*
and counts as having waited so long. A turn to which a process came late (``run.py``) is played again, before anybody
looks at it.
"""

from __future__ import annotations
