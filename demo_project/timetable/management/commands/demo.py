from __future__ import annotations

import errno
import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from demo_project.background import Background, celery_processes, visitors
from demo_project.environment import RUNNING_DURABLE, RUNNING_REDIS, WITH_VISITORS, broker_address
from demo_project.timetable.accounts import ADDRESSES, demo_password, ensure_accounts
from demo_project.visitors.addresses import PEOPLE, can_come, is_one
from redis_toolkit.testing import ValkeyServer, embedded_valkey

HOST = "127.0.0.1"
PORTS = [*range(8000, 8010), 0]  # 0: any free one
#: For what must not be forgotten while the demo runs: full, it refuses, and what it has taken it writes to a file.
DURABLE: dict[str, str | bool] = {"maxmemory": "64mb", "maxmemory-policy": "noeviction", "appendonly": True}


class Command(BaseCommand):
    help = (
        "Runs the whole demo: two Valkeys of its own (unless REDIS_URL names a server), the data, the site, a Celery "
        "worker and beat, and a few visitors. Ctrl-C ends it."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="The port to listen on. Default: 8000, or another that is free.")
        parser.add_argument(
            "--no-visitors",
            dest="visited",
            action="store_false",
            default=WITH_VISITORS,
            help="Nobody comes by themselves. The same: DEMO_VISITORS=0.",
        )

    def handle(self, *, port: int | None, visited: bool, verbosity: int, **_: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        try:
            with redis() as (address, is_shared), web_server([port] if port else PORTS) as server:
                self.check()
                call_command("migrate", verbosity=0)
                # Another demo on the same server has a worker, and two beats would send everything twice.
                with nullcontext() if is_shared else celery_processes() as background:
                    call_command("load_timetable", verbosity=verbosity)
                    ensure_accounts()
                    with callers(server.address, wanted=visited, is_shared=is_shared) as (guests, about):
                        self.serve(server, address, background, guests, about)
        except KeyboardInterrupt:
            self.stdout.write("\nStopped. Nothing is left running.")

    def serve(
        self, server: Site, redis_address: str, background: Background | None, guests: Background | None, about: str
    ) -> None:
        celery = "is run by the demo that was started before this one"
        if background:
            background.wait_until_ready()
            celery = background.says()
        beside = [each for each in (background, guests) if each]
        self.report(beside)
        server.now_and_then = lambda: self.report(beside)
        self.announce(server.address, redis_address, celery, about)
        server.serve_forever()

    def report(self, beside: list[Background]) -> None:
        for background in beside:
            for sentence in background.ended():
                self.stderr.write(sentence)
                self.stderr.flush()

    def announce(self, site: str, redis_address: str, celery: str, about: str) -> None:
        admin = User.objects.get(username="admin")
        unchanged = admin.check_password(demo_password())
        password = f"password {demo_password()}" if unchanged else "with the password you gave it"
        self.stdout.write(
            f"""
  Timetable   {self.style.SUCCESS(site)}
  Admin       {self.style.SUCCESS(site + "admin/")}
  Login       admin (or office, who edits lessons only), {password}
  Redis       {redis_address}
  Sessions    {_shown(settings.CACHES["durable"]["LOCATION"])}
  Celery      {celery}
  Visitors    {about}
  By e-mail   {", ".join(ADDRESSES.values())}:
              mail is printed here, and staff read it at {site}mailbox/

  Ctrl-C stops everything.
"""
        )
        self.stdout.flush()


class Site(ThreadedWSGIServer):
    """Django's own web server, which also has a look, twice a second, at what runs beside it."""

    now_and_then: Callable[[], object] = staticmethod(lambda: None)

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    def service_actions(self) -> None:
        super().service_actions()
        self.now_and_then()


class Handler(WSGIRequestHandler):
    """Django's own, which does not write down what the demo's visitors ask for: it would be all that one sees."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
        if not is_one(self.client_address[0]):
            super().log_message(format, *args)


@contextmanager
def callers(site: str, *, wanted: bool, is_shared: bool) -> Iterator[tuple[Background | None, str]]:
    """The process of the visitors, if they are wanted, and what is to be said of them."""
    if is_shared:
        yield None, "come to the demo that was started before this one"
    elif not wanted:
        yield None, "none but you"
    elif not can_come():
        yield None, "stay away: this machine has no 127.0.0.2, from which the first of them would come"
    else:
        with visitors(site) as guests:
            [process] = guests.running.values()
            about = f"{PEOPLE}, a few requests a second (process {process.pid}), {process.log_path}"
            yield guests, f"{about}\n              make demo ARGS=--no-visitors leaves them out"


@contextmanager
def redis() -> Iterator[tuple[str, bool]]:
    """The address of a server: REDIS_URL's, that of a demo which runs already, or else one for this run.

    Also whether it is another demo's.
    """
    address = settings.CACHES["default"]["LOCATION"]
    if os.environ.get("REDIS_URL"):
        yield _shown(address), False
    elif _answers(address):
        # Two demos on one database have to share the server, or the one would not hear of the other's edits.
        yield address, True
    else:
        with embedded_valkey() as server, ValkeyServer(config=DURABLE) as durable:
            # Settings are loaded before a command runs, the address is known only now, and nobody has connected yet.
            settings.CACHES["default"]["LOCATION"] = server.url
            settings.CACHES["durable"]["LOCATION"] = os.environ.get("DURABLE_REDIS_URL") or durable.url
            settings.CELERY_BROKER_URL = broker_address(server.url)
            # By these files other processes find them, the worker and beat among them.
            RUNNING_DURABLE.write_text(durable.url)
            RUNNING_REDIS.write_text(server.url)
            try:
                yield server.url, False
            finally:
                RUNNING_REDIS.unlink(missing_ok=True)
                RUNNING_DURABLE.unlink(missing_ok=True)


@contextmanager
def web_server(ports: list[int]) -> Iterator[Site]:
    """The site with its static files, on the first port that is free. Raises CommandError if none is."""
    server = _listen(ports)
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    try:
        yield server
    finally:
        server.server_close()


def _listen(ports: list[int]) -> Site:
    for port in ports:
        try:
            return Site((HOST, port), Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise CommandError(f"Port {ports[0]} is taken. Without --port the demo finds one that is free.")


def _shown(address: str) -> str:
    """An address without its password, which is not for the screen."""
    return re.sub("//[^/]*@", "//", address)


def _answers(address: str) -> bool:
    """Does the demo that wrote this address still run? It may have been killed."""
    if not address.startswith("unix:"):
        return False
    with socket.socket(socket.AF_UNIX) as link:
        return link.connect_ex(unquote(urlsplit(address).path)) == 0


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
