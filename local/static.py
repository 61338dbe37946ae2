"""Static files of the local server: the API's documentation page, and what else is mounted later."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from local.settings import ROOT

SWAGGER = ROOT / "node_modules" / "swagger-ui-dist"
PAGES = Path(__file__).with_name("docs")

DOCS: Mapping[str, Path] = {
    "/docs": PAGES / "index.html",
    "/docs/start.js": PAGES / "start.js",
    "/docs/page.css": PAGES / "page.css",
    "/docs/swagger-ui.css": SWAGGER / "swagger-ui.css",
    "/docs/swagger-ui-bundle.js": SWAGGER / "swagger-ui-bundle.js",
    "/docs/favicon.png": SWAGGER / "favicon-32x32.png",
}

# No script and no style but our own files; `data:` images are the icons inside swagger-ui.css.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".png": "image/png",
}


@dataclass(frozen=True)
class File:
    """A file as it is sent."""

    plain: bytes
    zipped: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    etag: bytes


def read(path: Path) -> File:
    """A file, read and compressed once as long as it does not change.

    Raises:
        OSError: it is not there.
    """
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, changed: int) -> File:  # noqa: ARG001  # the time of change is what makes a cached file stale
    plain = path.read_bytes()
    etag = b'"' + hashlib.sha256(plain).hexdigest()[:20].encode() + b'"'
    headers = (
        (b"content-type", _TYPES[path.suffix].encode()),
        (b"content-security-policy", CSP.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cache-control", b"no-cache"),
        (b"vary", b"accept-encoding"),
        (b"etag", etag),
    )
    return File(plain, zipped(plain), headers, etag)


@lru_cache(maxsize=8)
def zipped(plain: bytes) -> bytes:
    """A body as gzip; the few that are worth it are asked for again and again."""
    return gzip.compress(plain, compresslevel=6, mtime=0)
