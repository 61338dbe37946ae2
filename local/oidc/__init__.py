"""The issuer that the demo's staff sign in with: who they are, the file that it lives from, and its process."""

import contextlib
import json
import secrets
import shutil
import socket
from pathlib import Path
from typing import Any, TypedDict

from local.demo.shop import SHOPS
from local.keys import make_file
from local.settings import AUDIENCE, ROOT

SERVER = Path(__file__).with_name("server.mjs")
CLIENT = "regulars-page"
LABEL = "demo"
GROUP = "regulars-"
"""What groups of the issuer begin with; the rest is one of our roles."""
_PORT_AHEAD = 1000
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters of passwords: none that looks like another."""

_STAFF = (
    ("admin", "周敏", "admin", ()),
    ("manager", "陈静", "shop_manager", SHOPS[:1]),
    ("clerk", "李强", "clerk", SHOPS[:1]),
    ("marketer", "王芳", "marketer", ()),
    ("agent", "刘洋", "agent", ()),
    ("analyst", "赵磊", "analyst", ()),
    ("auditor", "孙艳", "auditor", ()),
    ("newcomer", "吴新", "", ()),
)
"""Login, name, role, shops; the newcomer has not been given anything yet."""


class Person(TypedDict):
    """Somebody who signs in."""

    login: str
    password: str
    subject: str
    name: str
    groups: list[str]
    shops: list[str]


class Kept(TypedDict):
    """What the file holds."""

    port: int
    audience: str
    client_id: str
    cookie_keys: list[str]
    keys: list[dict[str, Any]]
    staff: list[Person]


def ensure_issuer(path: Path, port: int) -> Kept:
    """The issuer of a data folder, made if there is none yet: its port, its keys, its staff.

    The port is kept because it is part of the issuer's name, by which staff are known here.

    Args:
        port: of the API; the issuer's is a thousand further where that is free.
    """
    if not path.exists():
        made: Kept = {
            "port": _free(port + _PORT_AHEAD),
            "audience": AUDIENCE,
            "client_id": CLIENT,
            "cookie_keys": [secrets.token_hex(32)],
            "keys": [_key()],
            "staff": [_person(*each) for each in _STAFF],
        }
        make_file(path, json.dumps(made, ensure_ascii=False, indent=2) + "\n")
    found: Kept = json.loads(path.read_text())
    return found


def issuer_of(kept: Kept) -> str:
    """The issuer's name, which is where it answers."""
    return f"http://127.0.0.1:{kept['port']}"


def environment(kept: Kept) -> dict[str, str]:
    """What tells the app of the issuer. Its keys are named, so whoever else comes to listen at its port is nobody."""
    roles = {GROUP + role: role for _, _, role, _ in _STAFF if role}
    issuer = {
        "label": LABEL,
        "issuer": issuer_of(kept),
        "audience": kept["audience"],
        "clients": [kept["client_id"]],
        "jwks": [{name: value for name, value in key.items() if name != "d"} for key in kept["keys"]],
        "algorithms": ["ES256"],
        "claims": {"roles": {"claim": ["groups"], "values": roles}, "shops": ["shops"]},
    }
    return {"REGULARS_ISSUERS": json.dumps([issuer])}


def command(path: Path, origin: str) -> list[str] | None:
    """What starts the server; None where there is no Node, or it was not installed.

    Args:
        path: the issuer's file.
        origin: where the API and its pages are served.
    """
    node = shutil.which("node")
    if node is None or not (ROOT / "node_modules" / "oidc-provider").exists():
        return None
    return [node, str(SERVER), str(path), origin]


def _person(login: str, name: str, role: str, shops: tuple[str, ...]) -> Person:
    password = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
    return {
        "login": login,
        "password": password,
        "subject": login,
        "name": name,
        "groups": [GROUP + role] if role else [],
        "shops": list(shops),
    }


def _key() -> dict[str, Any]:
    """A key that signs, P-256, as JWK."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - slow to import, and seldom needed

    from chalicelib.storage.signing import PublicKey, url_safe  # noqa: PLC0415

    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    x, y, d = (
        each.to_bytes(32, "big") for each in (numbers.public_numbers.x, numbers.public_numbers.y, numbers.private_value)
    )
    named = {"kid": PublicKey(x, y).key_id, "use": "sig", "alg": "ES256"}
    return {"kty": "EC", "crv": "P-256", "x": url_safe(x), "y": url_safe(y), "d": url_safe(d), **named}


def _free(wanted: int) -> int:
    """The wanted port of 127.0.0.1 if it is free, else any that is."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError, OverflowError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
            found: int = probe.getsockname()[1]
            return found
    raise OSError("no port of 127.0.0.1 is free")
