"""What somebody with a browser or curl is told who asks a port that does not speak plain HTTP. Knows no port."""


def http_hint(sentence: str) -> bytes:
    """A whole HTTP response that says this, after which the connection is closed."""
    body = f"{sentence}\n".encode()
    lines = ("Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}", "Connection: close")
    return "\r\n".join(("HTTP/1.1 400 Bad Request", *lines, "", "")).encode() + body
