from __future__ import annotations

import errno
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from demo_project.environment import RUNNING_REDIS
from demo_project.timetable.accounts import demo_password, ensure_accounts
from redis_toolkit.testing import embedded_valkey

HOST = "127.0.0.1"
PORTS = [*range(8000, 8010), 0]  # 0: any free one


class Command(BaseCommand):
    help = "Runs the whole demo: its own Valkey (unless REDIS_URL names a server), the data, the site. Ctrl-C ends it."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="The port to listen on. Default: 8000, or another that is free.")

    def handle(self, *, port: int | None, verbosity: int, **_: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        try:
            with redis() as address, web_server([port] if port else PORTS) as server:
                self.check()
                call_command("migrate", verbosity=0)
                call_command("load_timetable", verbosity=verbosity)
                ensure_accounts()
                self.announce(server.server_port, address)
                server.serve_forever()
        except KeyboardInterrupt:
            self.stdout.write("\nStopped. Nothing is left running.")

    def announce(self, port: int, redis_address: str) -> None:
        admin = User.objects.get(username="admin")
        unchanged = admin.check_password(demo_password())
        password = f"password {demo_password()}" if unchanged else "with the password you gave it"
        site = f"http://127.0.0.1:{port}/"
        self.stdout.write(
            f"""
  Timetable   {self.style.SUCCESS(site)}
  Admin       {self.style.SUCCESS(site + "admin/")}
  Login       admin (or office, who edits lessons only), {password}
  Redis       {redis_address}

  Ctrl-C stops everything.
"""
        )
        self.stdout.flush()


@contextmanager
def redis() -> Iterator[str]:
    """The address of a server: REDIS_URL's, that of a demo which runs already, or else one for this run."""
    address = settings.CACHES["default"]["LOCATION"]
    if os.environ.get("REDIS_URL"):
        yield re.sub("//[^/]*@", "//", address)  # a password is not for the screen
    elif _answers(address):
        # Two demos on one database have to share the server, or the one would not hear of the other's edits.
        yield address
    else:
        with embedded_valkey() as server:
            # Settings are loaded before a command runs, the address is known only now, and nobody has connected yet.
            settings.CACHES["default"]["LOCATION"] = server.url
            RUNNING_REDIS.write_text(server.url)
            try:
                yield server.url
            finally:
                RUNNING_REDIS.unlink(missing_ok=True)


@contextmanager
def web_server(ports: list[int]) -> Iterator[ThreadedWSGIServer]:
    """The site with its static files, on the first port that is free. Raises CommandError if none is."""
    server = _listen(ports)
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    try:
        yield server
    finally:
        server.server_close()


def _listen(ports: list[int]) -> ThreadedWSGIServer:
    for port in ports:
        try:
            return ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise CommandError(f"Port {ports[0]} is taken. Without --port the demo finds one that is free.")


def _answers(address: str) -> bool:
    """Does the demo that wrote this address still run? It may have been killed."""
    if not address.startswith("unix:"):
        return False
    with socket.socket(socket.AF_UNIX) as link:
        return link.connect_ex(unquote(urlsplit(address).path)) == 0


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
