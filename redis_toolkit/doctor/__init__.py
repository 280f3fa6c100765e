"""The doctor: what is wrong with the servers the toolkit uses and with the settings around it, and what to do.

    report = examine()
    for finding in report.findings:
        print(finding.id, finding.subject, finding.sentence, finding.cure)

It reads and changes nothing. Each question may be refused by a server: then that is a finding, never an error.
"""

from __future__ import annotations

from redis_toolkit.doctor.biggest import Key, biggest
from redis_toolkit.doctor.examining import examine
from redis_toolkit.doctor.findings import Finding, Report, Server
from redis_toolkit.doctor.slowness import Slow, slow_log

__all__ = ["Finding", "Key", "Report", "Server", "Slow", "biggest", "examine", "slow_log"]
