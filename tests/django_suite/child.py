"""One app's tests in a process of their own: ``python -m tests.django_suite.child queries``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.django_suite.running import run

if __name__ == "__main__":
    run(sys.argv[1:], Path(os.environ["ORM_TESTS_FOLDER"]) / "report.json")
