"""What the local server serves besides the API: its documentation, and the page to sign in at."""

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from chalicelib.api.headers import security
from local.demo.shop import SHOP_NAMES
from local.oidc import LABEL
from local.settings import ROOT

SWAGGER = ROOT / "node_modules" / "swagger-ui-dist"
PAGES = Path(__file__).with_name("docs")

SIGN_IN = Path(__file__).with_name("signin")

FILES: Mapping[str, Path] = {
    "/docs": PAGES / "index.html",
    "/docs/start.js": PAGES / "start.js",
    "/docs/page.css": PAGES / "page.css",
    "/docs/swagger-ui.css": SWAGGER / "swagger-ui.css",
    "/docs/swagger-ui-bundle.js": SWAGGER / "swagger-ui-bundle.js",
    "/docs/favicon.png": SWAGGER / "favicon-32x32.png",
    "/sign-in": SIGN_IN / "index.html",
    "/sign-in/page.js": SIGN_IN / "page.js",
    "/sign-in/oidc.js": SIGN_IN / "oidc.js",
    "/sign-in/text.js": SIGN_IN / "text.js",
    "/sign-in/page.css": SIGN_IN / "page.css",
}
SETTINGS = "/sign-in/settings.json"

# No script and no style but our own files; `data:` images are the icons inside swagger-ui.css.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'{issuer}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".png": "image/png",
    ".json": "application/json",
}


@dataclass(frozen=True)
class File:
    """A file as it is sent."""

    plain: bytes
    zipped: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    etag: bytes


class Pages:
    """The files that are served, and the page's settings.

    Args:
        issuers: as REGULARS_ISSUERS names them; the page signs in with the first, as its first client.
    """

    def __init__(self, issuers: str) -> None:
        named = json.loads(issuers or "[]")
        self._settings: dict[str, object] = {"issuer": None}
        self._csp = CSP.format(issuer="")
        if named and named[0].get("clients"):
            issuer = named[0]["issuer"]
            self._settings = {"issuer": issuer, "client_id": named[0]["clients"][0], "scope": "openid profile"}
            if named[0].get("label") == LABEL:
                self._settings["shops"] = SHOP_NAMES
            self._csp = CSP.format(issuer=" {0.scheme}://{0.netloc}".format(urlsplit(issuer)))

    def find(self, path: str) -> File | None:
        """What is at a path."""
        if path == SETTINGS:
            return _file(json.dumps(self._settings).encode(), ".json", self._csp)
        found = FILES.get(path.rstrip("/"))
        if found is None:
            return None
        return _read(found, found.stat().st_mtime_ns, self._csp)


@lru_cache(maxsize=64)
def _read(path: Path, changed: int, csp: str) -> File:  # noqa: ARG001  # the time of change makes a cached file stale
    return _file(path.read_bytes(), path.suffix, csp)


def _file(plain: bytes, suffix: str, csp: str) -> File:
    etag = b'"' + hashlib.sha256(plain).hexdigest()[:20].encode() + b'"'
    safe = security(laptop=True) | {"Content-Security-Policy": csp}
    headers = (
        (b"content-type", _TYPES[suffix].encode()),
        *((name.lower().encode(), value.encode()) for name, value in safe.items()),
        (b"cache-control", b"no-cache"),
        (b"vary", b"accept-encoding"),
        (b"etag", etag),
    )
    return File(plain, zipped(plain), headers, etag)


@lru_cache(maxsize=8)
def zipped(plain: bytes) -> bytes:
    """A body as gzip; the few that are worth it are asked for again and again."""
    return gzip.compress(plain, compresslevel=6, mtime=0)
