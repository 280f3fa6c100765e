"""Django's own tests of what uses sessions, with our engine in the place of Django's.

``make session-tests``, or ``python -m tests.session_suite``. Django's tests come from its sdist, of the version that is
installed (``tests/django_suite/sources.py``); they are never part of this repository. They run on a real server:

- with each set of settings of ``profiles.py``: bare, with all that can be switched on, and with the engine that moves
  sessions over from the database;
- ``contract.py`` has Django's tests of an engine (``SessionTestsMixin``) for ours, beside those of Django's own engines;
- tests that cannot pass are listed one by one, and must fail (``exceptions.py``).
"""
