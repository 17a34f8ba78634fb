"""Certificates in force: those of the files as they are now. Changed files are taken in without a restart, and bad ones are not.

New connections show the new certificate; those that are open stay as they are. Knows nothing of what the connections are for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hraft import limits
from hraft.errors import CertificateUnusable
from hraft.tls.contexts import client_context, server_context
from hraft.tls.files import CertificateFiles, Credentials, load
from hraft.tls.reasons import in_words

_Stamp = tuple[tuple[int, ...], ...]


class LiveCertificates:
    """One set of files. `name` is what they are for, in the log; `wall_clock` gives seconds since the epoch."""

    log = Logger(namespace="hraft.tls")

    def __init__(
        self,
        name: str,
        files: CertificateFiles,
        clock: IReactorTime,
        usages: Sequence[x509.ObjectIdentifier] = (),
        one_authority: bool = False,
        protocols: Sequence[bytes] = (),
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.files = files
        self.credentials = Credentials()
        self._clock = clock
        self._usages = usages
        self._one_authority = one_authority
        self._protocols = protocols
        self._wall_clock = wall_clock
        self._stamp: _Stamp = ()
        #: Files that were seen once and were not fit. A certificate and its key are seldom replaced at the same moment.
        self._doubtful: _Stamp | None = None
        self._next_look_seconds = 0.0
        self._server: SSL.Context | None = None
        self._client: SSL.Context | None = None
        self._timer: IDelayedCall | None = None
        self._warned_at_seconds = float("-inf")

    def open(self) -> None:
        """Read the files for the first time. Raises CertificateUnusable."""
        self._stamp = self._stamp_of_files()
        self._take(self._load())
        self._next_look_seconds = self._clock.seconds() + limits.CERTIFICATE_LOOK_SECONDS

    def start(self) -> None:
        """Look at them from time to time, also while nobody connects."""
        self._timer = self._clock.callLater(limits.CERTIFICATE_EXPIRY_LOOK_SECONDS, self._hourly)

    def stop(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    @property
    def expires_at(self) -> datetime | None:
        """When the certificate in force ends; None where there is none to show."""
        return self.credentials.expires_at

    def server_context(self) -> SSL.Context:
        """For a connection that begins now at the end that was dialled."""
        self._look()
        if self._server is None:
            self._server = server_context(self.credentials, self._protocols)
        return self._server

    def client_context(self) -> SSL.Context:
        """For a connection that begins now at the end that dials."""
        self._look()
        if self._client is None:
            self._client = client_context(self.credentials)
        return self._client

    def reload(self) -> None:
        """Read the files now, changed or not. Bad ones are an error in the log, and nothing else."""
        self._doubtful = None
        self._stamp = self._stamp_of_files()
        try:
            self._renew(self._load())
        except CertificateUnusable as error:
            self._complain(error)

    def _look(self) -> None:
        now = self._clock.seconds()
        if now < self._next_look_seconds:
            return
        self._next_look_seconds = now + limits.CERTIFICATE_LOOK_SECONDS
        stamp = self._stamp_of_files()
        if stamp == self._stamp:
            return
        try:
            found = self._load()
        except CertificateUnusable as error:
            if stamp == self._doubtful:
                self._stamp = stamp
                self._complain(error)
            self._doubtful = stamp
            return
        self._stamp, self._doubtful = stamp, None
        self._renew(found)

    def _load(self) -> Credentials:
        found = load(self.files, self._usages, self._wall_clock(), self._one_authority)
        try:
            # OpenSSL has views of its own, of short keys for one, and would tell them to every connection.
            server_context(found, self._protocols)
        except SSL.Error as error:
            where = f"{self.files.labels[0]} {self.files.certificate}"
            raise CertificateUnusable(f"{where}: OpenSSL does not take it: {in_words(error)}") from error
        return found

    def _renew(self, found: Credentials) -> None:
        self._warned_at_seconds = float("-inf")
        self._take(found)
        serial = "" if found.serial is None else f"{found.serial:x}"
        self.log.info(
            "{name}: new certificates are in force for new connections; serial number {serial}, valid until {until}",
            name=self.name,
            serial=serial,
            until=str(found.expires_at),
        )

    def _take(self, found: Credentials) -> None:
        self.credentials = found
        self._server = self._client = None
        for warning in found.warnings:
            self.log.warn("{name}: {warning}", name=self.name, warning=warning)
        self._warn_of_expiry()

    def _complain(self, error: CertificateUnusable) -> None:
        self.log.error("{name}: goes on with the certificates that it has: {reason}", name=self.name, reason=str(error))

    def _hourly(self) -> None:
        self._timer = self._clock.callLater(limits.CERTIFICATE_EXPIRY_LOOK_SECONDS, self._hourly)
        self._look()
        self._warn_of_expiry()

    def _warn_of_expiry(self) -> None:
        now, until = self._clock.seconds(), self.expires_at
        if until is None or now - self._warned_at_seconds < limits.CERTIFICATE_WARNING_INTERVAL_SECONDS:
            return
        seconds_left = until.timestamp() - self._wall_clock()
        if seconds_left > limits.CERTIFICATE_WARNING_SECONDS:
            return
        self._warned_at_seconds = now
        words = f"expires in {seconds_left / 86400:.1f} days" if seconds_left > 0 else "has expired"
        self.log.warn(
            "{name}: the certificate in {file} {words}, at {until}: renew it, and put the new one in its place",
            name=self.name,
            file=self.files.certificate,
            words=words,
            until=str(until),
        )

    def _stamp_of_files(self) -> _Stamp:
        return tuple(_stamp_of(path) for path in self.files.paths)


def _stamp_of(path: str) -> tuple[int, ...]:
    """Changes whenever the file does."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino
