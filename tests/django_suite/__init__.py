"""Django's own ORM tests with ``CacheManager`` in the place of every model's managers.

``make orm-tests``, or ``python -m tests.django_suite --database postgres queries lookup``. Django's tests come from its
sdist, of the version that is installed; they are never part of this repository. Nothing of Django but its test classes
is changed:

- A ``class_prepared`` receiver gives each model cached managers (``managers.py``).
- ``TestCase`` does what it does for databases without transactions, or nothing would ever be cached (``isolation.py``).
- Each cached read is made twice and compared with the database (``twice.py``).
- Tests that cannot pass are listed one by one, and must fail (``exceptions.py``).
"""
