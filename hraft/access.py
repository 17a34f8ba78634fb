"""Who may come in to one node over HTTP: its guard, made of what the operator has said, and kept up with the file of users.

Knows nothing of what is guarded.
"""

from __future__ import annotations

from socket import gethostname
from typing import Any

from twisted.logger import Logger

from hraft.addresses import Address, is_open_to_others, place_of
from hraft.auth.kept_users import KeptUsers
from hraft.credentials import Credentials, read_credentials
from hraft.one_thread import OneThread
from hraft.settings import NodeSettings
from hraft.web.guard import Guard
from hraft.web.hosts import Hosts

_log = Logger(namespace="hraft.access")


class Access:
    """Of one node, from `open` to `close`."""

    def __init__(self, reactor: Any, settings: NodeSettings) -> None:
        self._reactor = reactor
        self._settings = settings
        self._users: KeptUsers | None = None
        # One for the file, whose disk may hang, and one for passwords, which take long.
        self._threads = tuple(OneThread(reactor, name) for name in ("users", "passwords"))
        #: What this node says where it asks to be taken in.
        self.credentials: Credentials | None = None

    def open(self) -> Guard:
        """Read the files there are. Raises BadUserFile."""
        said = self._settings.access
        if said.join_file is not None:
            self.credentials = read_credentials(said.join_file)
        if said.user_file is not None:
            self._users = KeptUsers(self._reactor, said.user_file, *self._threads)
            self._users.start()
        self._warn_of_an_open_port()
        hosts = Hosts(self._own_names(), said.allowed_hosts, has_users=self._users is not None)
        return Guard(hosts, None if self._users is None else self._users.logins)

    def look(self) -> None:
        """The file of users may have changed."""
        if self._users is not None:
            self._users.look()

    def close(self) -> None:
        """Look no more, and log nobody in."""
        if self._users is not None:
            self._users.stop()
        for thread in self._threads:
            thread.stop()

    def _warn_of_an_open_port(self) -> None:
        settings = self._settings
        is_guarded = self._users is not None or bool(settings.tls.http.authorities)
        if not is_guarded and is_open_to_others(settings.http_listening, settings.http_address):
            _log.warn(
                "no users: whoever reaches --haddr {where} may do everything; say who may by --auth (docs/security.md)",
                where=str(settings.http_listening),
            )

    def _own_names(self) -> list[str]:
        listening = self._settings.http_listening
        names = [place_of(self._settings.http_address), gethostname()]
        return [*names, listening.host] if isinstance(listening, Address) and listening.host else names
