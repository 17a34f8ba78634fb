"""What `hraft/tls` promises. Data only, see `planted_bug`."""

from planted_bug import bug

_WIRE = "simulated links stand in the place of sockets, and of TLS on them"

TLS = (
    bug(
        "O18a",
        "whoever dials needs no certificate",
        "tls/contexts",
        "    if credentials.authorities:\n        _verify(",
        "    if False:\n        _verify(",
        unseen=_WIRE,
    ),
    bug(
        "O18b",
        "any host's certificate will do",
        "tls/contexts",
        "            handshake.objection = objection_to_host(certificate.to_cryptography(), handshake.host)\n",
        "            pass\n",
        unseen=_WIRE,
    ),
    bug(
        "O18c",
        "a certificate that nobody vouches for, or that has expired, will do",
        "tls/contexts",
        "    if not is_good:\n",
        "    if False:\n",
        unseen=_WIRE,
    ),
    bug(
        "O18d",
        "a handshake may take for ever",
        "tls/connections",
        "callLater(TLS_HANDSHAKE_TIMEOUT_SECONDS, self._too_slow)",
        "callLater(TLS_HANDSHAKE_TIMEOUT_SECONDS, lambda: None)",
        unseen=_WIRE,
    ),
    bug(
        "O18e",
        "a connection counts as made before anybody has shown who it is",
        "tls/connections",
        "            await connection.shaken()\n",
        "",
        unseen=_WIRE,
    ),
    bug(
        "O18f",
        "who reads no more stops the handshake, too",
        "tls/connections",
        "        self._is_paused = True\n        if self._is_settled:\n",
        "        self._is_paused = True\n        if True:\n",
        unseen=_WIRE,
    ),
    bug(
        "O19a",
        "new certificates are not looked for",
        "tls/renewal",
        "        if stamp == self._stamp:\n",
        "        if True:\n",
        unseen=_WIRE,
    ),
    bug(
        "O19b",
        "new certificates are read, and not shown",
        "tls/renewal",
        "        self._server = self._client = None\n",
        "",
        unseen=_WIRE,
    ),
    bug(
        "O19c",
        "another certificate's key is taken for the right one",
        "tls/files",
        "        if _public(key.public_key()) != _public(chain[0].public_key()):\n",
        "        if False:\n",
        unseen=_WIRE,
    ),
    bug(
        "O19d",
        "a certificate that OpenSSL does not take is in force, and every connection fails",
        "tls/renewal",
        "            server_context(found, self._protocols)\n",
        "            pass\n",
        unseen=_WIRE,
    ),
)
