"""An issuer of the tests' own: its keys, its tokens, good and otherwise, and the gate that knows it."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib.identity.fetching import NotFetched
from chalicelib.identity.issuers import Issuer, issuers_from
from tests.makers import NOON

NAME, AUDIENCE, CLIENT = "https://id.coffee.invalid/staff", "regulars", "console"
NOW = int(NOON.timestamp())
CLAIMS: dict[str, Any] = {
    "iss": NAME, "aud": AUDIENCE, "azp": CLIENT, "sub": "u-1", "name": "张三", "groups": ["crm-admins", "all-staff"],
    "iat": NOW, "exp": NOW + 600,
}  # fmt: skip
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")

Sign = Callable[[bytes], bytes]


def part(value: Any) -> str:
    """A segment: JSON or bytes as base64url."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def number(value: int) -> str:
    """A number of a JWK."""
    return part(value.to_bytes((value.bit_length() + 7) // 8, "big"))


@dataclass(frozen=True)
class KeyPair:
    """A key that signs in one way.

    Attributes:
        pem: its public half as text, which some verifiers take for a secret.
    """

    algorithm: str
    kid: str
    sign: Sign
    jwk: dict[str, Any]
    pem: bytes
    private: Any

    def token(self, claims: Any = None, header: Any = None, *, sign: Sign | None = None) -> str:
        """A token over any header and claims, however odd; header fields that are None are left out."""
        if header is None or isinstance(header, dict):
            all_of = {"alg": self.algorithm, "typ": "at+jwt", "kid": self.kid, **(header or {})}
            header = {name: value for name, value in all_of.items() if value is not None}
        signed = part(header) + "." + part(CLAIMS if claims is None else claims)
        return signed + "." + part((sign or self.sign)(signed.encode()))


@cache
def key_pair(algorithm: str, kid: str = "") -> KeyPair:
    """A key of the tests; the same one each time."""
    kid = kid or f"key-{algorithm}"
    if algorithm in ("RS256", "PS256"):
        private_rsa = rsa.generate_private_key(65537, 2048)
        n = private_rsa.public_key().public_numbers().n
        jwk = {"kty": "RSA", "n": number(n), "e": "AQAB"}
        return _pair(algorithm, kid, _rsa_sign(private_rsa, algorithm), jwk, private_rsa)
    if algorithm == "ES256":
        private_ec = ec.generate_private_key(ec.SECP256R1())
        point = private_ec.public_key().public_numbers()
        jwk = {
            "kty": "EC",
            "crv": "P-256",
            "x": part(point.x.to_bytes(32, "big")),
            "y": part(point.y.to_bytes(32, "big")),
        }
        return _pair(algorithm, kid, lambda message: raw(der(private_ec, message)), jwk, private_ec)
    private_ed = ed25519.Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": part(private_ed.public_key().public_bytes_raw())}
    return _pair(algorithm, kid, private_ed.sign, jwk, private_ed)


def _pair(algorithm: str, kid: str, sign: Sign, jwk: dict[str, Any], private: Any) -> KeyPair:
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return KeyPair(algorithm, kid, sign, {"kid": kid, "use": "sig", "alg": algorithm, **jwk}, pem, private)


def _rsa_sign(private: rsa.RSAPrivateKey, algorithm: str) -> Sign:
    scheme = padding.PSS(padding.MGF1(SHA256()), 32) if algorithm == "PS256" else padding.PKCS1v15()
    return lambda message: private.sign(message, scheme, SHA256())


def der(private: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """An ECDSA signature as most libraries give it."""
    return private.sign(message, ec.ECDSA(SHA256()))


def raw(signature: bytes) -> bytes:
    """r and s of a DER signature, 32 bytes each, as JWS wants them."""
    r, s = decode_dss_signature(signature)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def hmac_with(key: bytes) -> Sign:
    """Signs as HS256 does."""
    return lambda message: hmac.digest(key, message, hashlib.sha256)


@dataclass
class Site:
    """Where issuers publish: answers by address, counts what it was asked, and can be out of order."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    down: bool = False

    def __call__(self, url: str) -> bytes:
        """See `jwks.Fetch`."""
        self.asked.append(url)
        if self.down or url not in self.answers:
            raise NotFetched("no answer")
        answer = self.answers[url]
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def publish(self, *keys: KeyPair | dict[str, Any], issuer: str = NAME) -> None:
        """Have an issuer publish keys."""
        where = f"{issuer}/keys"
        self.answers[f"{issuer}/.well-known/openid-configuration"] = {"issuer": issuer, "jwks_uri": where}
        self.answers[where] = {"keys": [each.jwk if isinstance(each, KeyPair) else each for each in keys]}


def an_issuer(algorithm: str = "ES256", **changes: Any) -> Issuer:
    """An issuer as the environment names one."""
    said = {
        "label": "coffee", "issuer": NAME, "audience": AUDIENCE, "clients": [CLIENT], "algorithms": [algorithm],
        "claims": {
            "roles": {"claim": ["groups"], "values": {"crm-admins": "admin", "tills": "clerk"}},
            "shops": ["shops"], "email": ["email"],
        },
        **changes,
    }  # fmt: skip
    (made,) = issuers_from(json.dumps([said]), own="https://own.invalid", local=False)
    return made
