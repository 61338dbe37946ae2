"""What every answer says to a browser, whoever made the answer: the app, Chalice, the gateway or the local server.

Pages have a policy of content of their own; the rest is the same for them.
"""

from collections.abc import Mapping

PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=()"

ALWAYS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": PERMISSIONS,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""An answer of the API is data: it loads nothing, is shown in no frame and is never guessed to be a page."""

ENCRYPTED: Mapping[str, str] = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}
"""In a stack only: a laptop has no TLS, and a browser that was told so would not come back to 127.0.0.1."""


def security(*, laptop: bool) -> dict[str, str]:
    """The headers of every answer.

    Args:
        laptop: whether it is served without TLS, by `make run` or a test.
    """
    return {**ALWAYS, **({} if laptop else ENCRYPTED)}
