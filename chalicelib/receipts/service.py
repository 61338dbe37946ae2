"""Use case of receipts: take what a provider tells, once, however often it is told.

Receipts go to `deliveries`, which counts each once and tells the lake; addresses that are of no use, and complaints, to
suppressions; replies that ask for no more messages to consents (`reach`). All of it may be done again.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.consents.models import ContactChannel
from chalicelib.deliveries.ports import Append
from chalicelib.deliveries.service.neighbours import appending
from chalicelib.deliveries.service.receiving import receive, receive_reply
from chalicelib.programs.service import ProgramBook, book_of
from chalicelib.providers.models import Receipt, ReceiptKind
from chalicelib.providers.refs import find_deliveries
from chalicelib.providers.settings import Callback
from chalicelib.reach import service as reach
from chalicelib.reach.errors import AddressInvalid
from chalicelib.reach.models import SuppressionReason, SuppressionSource
from chalicelib.receipts import rules, sns, store
from chalicelib.receipts.errors import CallbackUnknown, CallbackUnsigned
from chalicelib.receipts.models import Signed, Taken, Told
from chalicelib.storage.egress import called
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table


@dataclass(frozen=True, slots=True)
class Desk:
    """What taking needs.

    Attributes:
        append: to the lake's receipts.
    """

    table: Table
    ops: Table
    keyring: Keyring
    book: ProgramBook
    append: Append

    @classmethod
    def of(cls, table: Table, ops: Table, keyring: Keyring, objects: Objects, ask: Callable[[], None]) -> "Desk":
        """A desk that tells the lake's files, and asks for a patch that has what it told."""
        return cls(table, ops, keyring, book_of(table), appending(objects, "receipt", ask))


def told_by(
    callback: Callback | None,
    ops: Table,
    provider: str,
    secret: str,
    signed: Signed,
    raw: bytes,
    *,
    now: datetime,
    fetch: sns.Reach = called,
) -> Told:
    """What a provider tells by HTTP, once it has proved that it is it.

    Args:
        callback: how it proves that; None where it is not set up.
        secret: the last part of the address that it called.
        signed: what it put into the query.
        fetch: for tests.

    Raises:
        CallbackUnknown: it is not set up, or this is not its address.
        CallbackUnsigned: its signature is missing, wrong, or was used before for something else.
        CallbackMalformed: what it tells cannot be understood.
        Trouble: tell it again.
    """
    require_known(callback, secret)
    assert callback is not None
    if provider == "aliyun":
        return rules.aliyun(raw)
    if provider == "tencent":
        return rules.tencent(raw)
    if provider == "ses":
        said = sns.message_of(raw, callback.topics, now=now, reach=fetch)
        return Told() if said is None else rules.ses(said)
    _require_wechat(callback, ops, signed, raw, now)
    return rules.wechat(raw)


def require_known(callback: Callback | None, secret: str) -> None:
    """See that a provider called the address that it was given.

    Raises:
        CallbackUnknown: it did not.
    """
    if callback is None or not rules.same(secret, callback.secret):
        raise CallbackUnknown


def echoed(callback: Callback | None, secret: str, signed: Signed, *, now: datetime) -> str:
    """What WeChat asks for when it is told our address.

    Raises:
        CallbackUnknown, CallbackUnsigned: see `told_by`.
    """
    require_known(callback, secret)
    assert callback is not None
    plain = signed.echostr.isascii() and signed.echostr.isalnum() and len(signed.echostr) <= 64
    known = callback.token and plain
    if not known or not rules.wechat_signed(callback.token, signed.timestamp, signed.nonce, signed.signature, now=now):
        raise CallbackUnsigned(provider="wechat")
    return signed.echostr


def _require_wechat(callback: Callback, ops: Table, signed: Signed, raw: bytes, now: datetime) -> None:
    """See that WeChat signed, and that its signature, which does not cover the body, is used for one body only."""
    if not rules.wechat_signed(callback.token, signed.timestamp, signed.nonce, signed.signature, now=now):
        raise CallbackUnsigned(provider="wechat")
    body = hashlib.sha256(raw).hexdigest()
    try:
        ops.commit([store.use_nonce("wechat", f"{signed.timestamp} {signed.nonce}", body, now)], keyed=True)
    except store.NonceUsed as used:
        if used.body != body:
            raise CallbackUnsigned(provider="wechat") from None


def take(desk: Desk, provider: str, told: Told, *, now: datetime) -> Taken:
    """Take what a provider told. Told again, it changes nothing.

    Raises:
        Trouble: take all of it again.
    """
    receipts = [each for each in told.receipts if rules.timely(each.at, now=now)]
    # A withdrawal is never late; of which message it was, its time says.
    replies = [each if rules.timely(each.at, now=now) else replace(each, at=now) for each in told.replies]
    old = len(told.receipts) - len(receipts)
    # Who says our own id and proves who it is, SES, is believed without looking for the name.
    asked = [each for each in receipts if not each.delivery_id or each.provider in _BY_SECRET]
    found = find_deliveries(desk.ops, {(each.provider, each.provider_ref) for each in asked if each.provider_ref})
    suppressed = sum(_suppress(desk, each, now) for each in receipts if _of_ours(each, found))
    counted = receive(desk.table, desk.ops, desk.append, _named(receipts, found), now=now)
    known = store.find_taken(desk.ops, provider, {each.reply_id for each in replies})
    new = [each for each in replies if each.reply_id not in known]
    for each in new:
        channel = ContactChannel(each.channel)
        replied = reach.opted_out_by_reply(
            desk.table, desk.keyring, desk.book, each.sender, each.text, now=now, channel=channel, by=each.provider
        )
        if replied.member_id is not None:
            receive_reply(desk.append, each, replied.member_id, now=now)
        desk.ops.commit([store.note_taken(provider, each.reply_id, now)])
    return Taken(counted.taken, counted.repeated, counted.unknown, suppressed, len(new), old, told.odd)


_BY_SECRET = frozenset({"aliyun", "tencent"})
"""They prove who they are by a secret in the address, and no more."""


def _of_ours(receipt: Receipt, found: Mapping[tuple[str, str], str]) -> bool:
    """Whether a message of ours is known that a receipt is about, where somebody else might have made it up. The name
    that we keep of Alibaba Cloud's messages has a mark of the number."""
    return receipt.provider not in _BY_SECRET or (receipt.provider, receipt.provider_ref) in found


def _named(receipts: Sequence[Receipt], found: Mapping[tuple[str, str], str]) -> list[Receipt]:
    """Receipts with the ids of their deliveries, as far as those are known."""
    return [
        each if each.delivery_id else replace(each, delivery_id=found.get((each.provider, each.provider_ref), ""))
        for each in receipts
    ]


def _suppress(desk: Desk, receipt: Receipt, now: datetime) -> bool:
    """See that an address that is of no use, or whose owner complained, is not written to; whether that is new."""
    if not receipt.for_good or not receipt.address:
        return False
    complained = receipt.kind is ReceiptKind.COMPLAINED
    reason = SuppressionReason.COMPLAINED if complained else SuppressionReason.BOUNCED
    channel = ContactChannel(receipt.channel)
    try:
        address = reach.normal_address(desk.book, channel, receipt.address, now=now)
        outcome = reach.suppress(
            desk.table, desk.keyring, channel, address, reason, SuppressionSource.RECEIPT,
            by=receipt.provider, now=now, happened_at=receipt.at,
        )  # fmt: skip
    except AddressInvalid:
        return False
    return not outcome.replayed
