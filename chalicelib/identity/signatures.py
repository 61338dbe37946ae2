"""Public keys as issuers publish them (RFC 7517, 7518, 8037), and what they prove.

The mathematics is `cryptography`'s. What is ours is narrow on purpose: four algorithms, each tied to one kind of key,
signatures of exactly the length that the algorithm has, and keys that are fit for nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.identity.issuers import Algorithm
from chalicelib.identity.profile import decoded

_KEY_TYPES = {
    Algorithm.RS256: ("RSA", None),
    Algorithm.PS256: ("RSA", None),
    Algorithm.ES256: ("EC", "P-256"),
    Algorithm.EDDSA: ("OKP", "Ed25519"),
}
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_RSA_BITS = range(2048, 8193)
_EXPONENTS = range(65_537, 1 << 32, 2)

Verify = Callable[[bytes, bytes], bool]
"""Whether a signature (second) is a key's over a message (first)."""


class KeyUnfit(Exception):
    """A published key is not one that we verify with."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key of an issuer, for one algorithm."""

    kid: str
    algorithm: Algorithm
    verify: Verify


def published_key(jwk: Mapping[str, Any], algorithm: Algorithm) -> PublishedKey:
    """A key from its JWK, for one algorithm.

    Raises:
        KeyUnfit: it is of another kind, for another purpose, too weak, malformed, or not public.
    """
    kind, curve = _KEY_TYPES[algorithm]
    if jwk.get("kty") != kind or jwk.get("crv") != curve:
        raise KeyUnfit("another kind of key")
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise KeyUnfit("for another purpose")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyUnfit("for another purpose")
    if any(name in jwk for name in _PRIVATE):
        raise KeyUnfit("its secret half was published")
    kid = jwk.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= 200:
        raise KeyUnfit("without a name")
    try:
        return PublishedKey(kid, algorithm, _MAKERS[algorithm](jwk))
    except ValueError as wrong:  # not base64url, not on the curve, no key at all
        raise KeyUnfit(str(wrong)) from None


def _rsa(jwk: Mapping[str, Any], *, pss: bool) -> Verify:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only who verifies such tokens pays for it
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    n, e = (int.from_bytes(_bytes(jwk, name), "big") for name in ("n", "e"))
    if n.bit_length() not in _RSA_BITS or e not in _EXPONENTS:
        raise ValueError("a weak or outsized key")
    key = rsa.RSAPublicNumbers(e, n).public_key()
    length = (n.bit_length() + 7) // 8
    scheme: padding.AsymmetricPadding = padding.PKCS1v15()
    if pss:
        scheme = padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)  # RFC 7518: the salt is as long as the hash

    def verify(message: bytes, signature: bytes) -> bool:
        if len(signature) != length:
            return False
        try:
            key.verify(signature, message, scheme, SHA256())
        except InvalidSignature:
            return False
        return True

    return verify


def _p256(jwk: Mapping[str, Any]) -> Verify:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    x, y = (_bytes(jwk, name, length=32) for name in ("x", "y"))
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    key, scheme = numbers.public_key(), ec.ECDSA(SHA256())

    def verify(message: bytes, signature: bytes) -> bool:
        if len(signature) != 64:  # r and s as they are, 32 bytes each; never DER
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, scheme)
        except InvalidSignature:
            return False
        return True

    return verify


def _ed25519(jwk: Mapping[str, Any]) -> Verify:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    key = Ed25519PublicKey.from_public_bytes(_bytes(jwk, "x", length=32))

    def verify(message: bytes, signature: bytes) -> bool:
        if len(signature) != 64:
            return False
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


_MAKERS: Mapping[Algorithm, Callable[[Mapping[str, Any]], Verify]] = {
    Algorithm.RS256: lambda jwk: _rsa(jwk, pss=False),
    Algorithm.PS256: lambda jwk: _rsa(jwk, pss=True),
    Algorithm.ES256: _p256,
    Algorithm.EDDSA: _ed25519,
}


def _bytes(jwk: Mapping[str, Any], name: str, *, length: int | None = None) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str) or not value.isascii():
        raise ValueError(f"{name} is missing")
    raw = decoded(value)
    if length is not None and len(raw) != length:
        raise ValueError(f"{name} is not {length} bytes long")
    return raw
