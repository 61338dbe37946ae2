"""The port to the key that receipts and roots are signed with, and two places behind it: KMS and a file on a laptop.

ECDSA on P-256 with SHA-256 (FIPS 186-5). In a stack the private key never leaves KMS: whoever can call it can sign, and
nobody can carry it away. No library is needed for that. A laptop's key is a file, which `cryptography` uses.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.batches import is_passing
from chalicelib.storage.signed import Service, ServiceFault, SignedClient, Unreachable

KMS = Service("kms", "TrentService", "application/x-amz-json-1.1")

_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""What stands before x and y in the DER of every public key on P-256 (RFC 5480)."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A point on P-256, 32 bytes each."""

    x: bytes
    y: bytes

    @property
    def key_id(self) -> str:
        """The key's thumbprint (RFC 7638)."""
        jwk = {"crv": "P-256", "kty": "EC", "x": url_safe(self.x), "y": url_safe(self.y)}
        return url_safe(hashlib.sha256(json.dumps(jwk, separators=(",", ":")).encode()).digest())


class Signer(Protocol):
    """A key that signs."""

    def public(self) -> PublicKey:
        """Its public half."""

    def sign(self, message: bytes) -> bytes:
        """A signature: r and s, 32 bytes each."""


class KmsClient:
    """A key that KMS keeps, and what can be asked of it.

    Args:
        client: of KMS.
        key: the key's ARN.
    """

    def __init__(self, client: SignedClient, key: str) -> None:
        self._client = client
        self._key = key

    def encrypt(self, plain: bytes, context: Mapping[str, str]) -> bytes:
        """At most 4,096 bytes, bound to a context that KMS logs.

        Raises:
            StorageBusy: KMS is throttling, failing or out of reach.
        """
        asked = {"Plaintext": base64.b64encode(plain).decode(), "EncryptionContext": context}
        return base64.b64decode(self.call("Encrypt", asked)["CiphertextBlob"])

    def decrypt(self, sealed: bytes, context: Mapping[str, str]) -> bytes:
        """What `encrypt` was given.

        Raises:
            StorageBusy: KMS is throttling, failing or out of reach.
        """
        asked = {"CiphertextBlob": base64.b64encode(sealed).decode(), "EncryptionContext": context}
        return base64.b64decode(self.call("Decrypt", asked)["Plaintext"])

    def call(self, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Ask KMS.

        Raises:
            StorageBusy: it is throttling, failing or out of reach.
        """
        try:
            return self._client.call(operation, {"KeyId": self._key, **asked})
        except Unreachable as fault:
            raise StorageBusy("The key service is out of reach. Try again later.") from fault
        except ServiceFault as fault:
            if is_passing(fault.code) or fault.status >= 500 or fault.status == 429:
                raise StorageBusy("The key service is busy. Try again later.") from fault
            raise


class KmsSigner:
    """A key that KMS keeps.

    Args:
        client: of KMS.
        key: the key's ARN.
    """

    def __init__(self, client: SignedClient, key: str) -> None:
        self._kms = KmsClient(client, key)

    def public(self) -> PublicKey:
        """See `Signer.public`.

        Raises:
            StorageBusy: KMS is throttling, failing or out of reach.
        """
        return self._public

    @cached_property
    def _public(self) -> PublicKey:
        return public_from(base64.b64decode(self._kms.call("GetPublicKey", {})["PublicKey"]))

    def sign(self, message: bytes) -> bytes:
        """See `Signer.sign`.

        Raises:
            StorageBusy: KMS is throttling, failing or out of reach.
        """
        digest = base64.b64encode(hashlib.sha256(message).digest()).decode()
        asked = {"Message": digest, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
        return raw_signature(base64.b64decode(self._kms.call("Sign", asked)["Signature"]))


class FileSigner:
    """A key in a file of a laptop (PEM, PKCS #8), made by `local.keys`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def public(self) -> PublicKey:
        """See `Signer.public`."""
        numbers = self._private.public_key().public_numbers()
        return PublicKey(numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big"))

    def sign(self, message: bytes) -> bytes:
        """See `Signer.sign`."""
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - a laptop's only
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        return raw_signature(self._private.sign(message, ec.ECDSA(hashes.SHA256())))

    @cached_property
    def _private(self) -> Any:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

        return load_pem_private_key(self._path.read_bytes(), None)


def public_from(der: bytes) -> PublicKey:
    """The public key in a SubjectPublicKeyInfo.

    Raises:
        ValueError: it is no uncompressed point on P-256.
    """
    if len(der) != len(_SPKI) + 64 or not der.startswith(_SPKI):
        raise ValueError("not a public key on P-256")
    return PublicKey(der[-64:-32], der[-32:])


def raw_signature(der: bytes) -> bytes:
    """r and s of a signature in DER, 32 bytes each.

    Raises:
        ValueError: it is no sequence of two whole numbers of at most 32 bytes.
    """
    if der[:1] != b"\x30" or len(der) != der[1] + 2:
        raise ValueError("not a signature")
    at, parts = 2, b""
    for _ in range(2):
        if der[at : at + 1] != b"\x02":
            raise ValueError("not a signature")
        length = der[at + 1]
        parts += int.from_bytes(der[at + 2 : at + 2 + length], "big").to_bytes(32, "big")
        at += 2 + length
    if at != len(der):
        raise ValueError("not a signature")
    return parts


def url_safe(raw: bytes) -> str:
    """Bytes in base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
