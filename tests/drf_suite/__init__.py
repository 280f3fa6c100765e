"""DRF's own throttling tests with our throttles in the place of DRF's.

``make drf-tests``, or ``python -m tests.drf_suite``. DRF's tests come from its sdist, of the version that is installed;
they are never part of this repository. They run on a real server, with DRF's own settings:

- Before a test is imported, ``rest_framework.throttling`` has our classes under DRF's names (``replacing.py``).
- They run twice: with our default algorithm and with a sliding log, which is what DRF's classes keep.
- Tests that cannot pass are listed one by one, and must fail (``exceptions.py``).
"""
