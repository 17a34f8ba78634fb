"""What a run may be guarded by: mutual TLS, with an authority of its own; users, as one of which all ask. Knows no faults."""

from __future__ import annotations

import ssl
from pathlib import Path

from hraft.auth.secrets import hash_token, new_token
from hraft.auth.user_file import edit_users
from hraft.auth.users import User
from hraft.tls.authority import make_authority, sign_client, sign_node


class Security:
    """In a folder, of files as `hraft certs` makes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        authority, client = make_authority(str(folder)), sign_client(str(folder), "client")
        self._authority = authority.certificate
        self.context = ssl.create_default_context(cafile=self._authority)
        self.context.load_cert_chain(client.certificate, client.key)

    def options(self, name: str, host: str) -> list[str]:
        """Of a node that is dialled by this host: HTTPS and TLS between nodes, both for those with a certificate only."""
        files = self._folder / f"{name}.pem"
        if not files.exists():
            sign_node(str(self._folder), name, [host])
        pair = [str(files), str(files.with_name(f"{name}-key.pem"))]
        names = ("--http-cert", "--http-key", "--http-client-ca", "--http-ca", "--raft-cert", "--raft-key", "--raft-ca")
        values = (*pair, self._authority, self._authority, *pair, self._authority)
        return [word for both in zip(names, values, strict=True) for word in both]


class Users:
    """One, with a token: nodes let nobody else in, and join as that one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        token, self._file, self._secret = new_token(), folder / "users", folder / "secret"
        edit_users(str(self._file), lambda users: users.update(chaos=User("chaos", "admin", tokens=(hash_token(token),))))
        self._secret.touch(0o600)
        self._secret.write_text(token)
        self.headers = {"Authorization": f"Bearer {token}"}

    def options(self) -> list[str]:
        """Of every node."""
        return ["--auth", f"file:{self._file}", "--join-auth", str(self._secret)]
