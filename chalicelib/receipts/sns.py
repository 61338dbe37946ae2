"""Messages of SNS: that they are from it, and what is in them.

Anybody can write a message that says it is from SNS. So its signature is checked with a certificate that is had from
SNS' own host only, by a fixed form of address, and the topic has to be one that we were told of.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from chalicelib.receipts.errors import CallbackMalformed, CallbackUnsigned
from chalicelib.storage.egress import Answer, Limits, NotSpoken, called

_HOST = r"https://sns\.[a-z]{2}(-[a-z]+)+-[0-9]\.amazonaws\.com(\.cn)?"
_CERTIFICATE = re.compile(_HOST + r"/SimpleNotificationService-[0-9a-f]{32}\.pem")
_CONFIRM = re.compile(_HOST + r"/\?Action=ConfirmSubscription&TopicArn=[A-Za-z0-9:._-]+&Token=[0-9a-f]{1,400}")
_LIMITS = Limits(seconds=4.0, size=64 * 1024)
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_CERTIFICATES: dict[str, bytes] = {}
_CERTIFICATES_MAX = 8

Reach = Callable[..., Answer]


def message_of(raw: bytes, topics: tuple[str, ...], *, now: datetime, reach: Reach = called) -> Any:
    """What is in a message of SNS, parsed; None for one that is about the subscription, which is confirmed.

    Args:
        topics: those that messages may come from.
        reach: for tests.

    Raises:
        CallbackMalformed: it is no message of SNS.
        CallbackUnsigned: it is not signed by SNS, or not of a topic that we know.
    """
    said = _parsed(raw)
    if said["TopicArn"] not in topics:
        raise CallbackUnsigned(provider="ses")
    _require_signed(said, now, reach)
    if said["Type"] == "Notification":
        return _inner(said["Message"])
    if said["Type"] == "SubscriptionConfirmation":
        _confirm(said, reach)
    return None


def _parsed(raw: bytes) -> Mapping[str, str]:
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        raise CallbackMalformed(provider="ses") from None
    known = isinstance(said, dict) and isinstance(said.get("Type"), str) and said["Type"] in _SIGNED
    needed = ("Message", "MessageId", "Timestamp", "TopicArn", "Signature", "SignatureVersion", "SigningCertURL")
    if not known or not all(isinstance(said.get(name), str) for name in needed):
        raise CallbackMalformed(provider="ses")
    told: Mapping[str, str] = said
    return told


def _require_signed(said: Mapping[str, str], now: datetime, reach: Reach) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - few come here
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    kinds: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - SNS' choice  # nosec B303
    kind, url = kinds.get(said["SignatureVersion"]), said["SigningCertURL"]
    if kind is None or not _CERTIFICATE.fullmatch(url):
        raise CallbackUnsigned(provider="ses")
    names = [name for name in _SIGNED[said["Type"]] if isinstance(said.get(name), str)]
    text = "".join(f"{name}\n{said[name]}\n" for name in names)
    try:
        certificate = load_pem_x509_certificate(_certificate(url, reach))
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise CallbackUnsigned(provider="ses")
        key.verify(base64.b64decode(said["Signature"], validate=True), text.encode(), PKCS1v15(), kind)
        good = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    except (InvalidSignature, ValueError, binascii.Error, TypeError):
        raise CallbackUnsigned(provider="ses") from None
    if not good:
        raise CallbackUnsigned(provider="ses")


def _certificate(url: str, reach: Reach) -> bytes:
    """A certificate; kept, because its address follows from what it is."""
    known = _CERTIFICATES.get(url)
    if known is None:
        known = _got(url, reach)
        if len(_CERTIFICATES) >= _CERTIFICATES_MAX:
            _CERTIFICATES.clear()
        _CERTIFICATES[url] = known
    return known


def _confirm(said: Mapping[str, str], reach: Reach) -> None:
    """Say that we want what a topic has to tell."""
    url = said.get("SubscribeURL", "")
    if not _CONFIRM.fullmatch(url):
        raise CallbackUnsigned(provider="ses")
    _got(url, reach)


def _got(url: str, reach: Reach) -> bytes:
    try:
        answer = reach("GET", url, b"", {}, _LIMITS)
    except NotSpoken:
        raise CallbackUnsigned(provider="ses") from None
    if answer.status != 200:
        raise CallbackUnsigned(provider="ses")
    return answer.body


def _inner(text: str) -> Any:
    """What SES says; what an operator publishes to try the topic out is no JSON, and says nothing."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {}
