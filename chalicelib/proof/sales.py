"""Whether what purchases and returns keep beside their entries fits: money, lines, and what came back."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain, combinations
from typing import Any

from chalicelib.kernel.calendar import local_day, milliseconds
from chalicelib.members.models import MemberRef
from chalicelib.points.models import Entry, Reason
from chalicelib.points.rules.guards import CLOCK_SKEW
from chalicelib.points.service import content_digest, content_text
from chalicelib.points.store import figures_item
from chalicelib.programs.models import Program
from chalicelib.programs.rules import worth_minor
from chalicelib.proof.models import Fault
from chalicelib.purchases.models import DeliverPurchase, Delivery, RecordPurchase, RestatePurchase, Returned, Sale
from chalicelib.purchases.rules.deliveries import delivered
from chalicelib.purchases.rules.restatements import entry_stated
from chalicelib.purchases.store import (
    as_stated,
    delivery_from,
    hold_id_of,
    returned_from,
    sale_from,
    stated_item,
    version_of,
)
from chalicelib.storage import keys
from chalicelib.storage.writes import Item

CUT_WITHIN = timedelta(seconds=1)
"""A till's time that was cut to ours is that of the recording, but for entries that were booked with it."""

SEARCHES_MAX = 5
"""For so many purchases of an account the time is looked for that a till with a fast clock gave, 0.3 s each at the
most; those beyond are not proven."""


@dataclass(slots=True)
class _Bought:
    """A purchase that was returned, restated or delivered: what its item says of that, and what its entries come to.

    Attributes:
        entry, sale: as it was last stated, by the restatements that were seen.
        said: its item.
        stated: what `rs` of its item must be.
        found, quantity, strange: what came back since it was last stated; whether of lines that it does not have.
        delivery: what was told of its delivery.
        version: how many returns, restatements and deliveries were seen.
    """

    seq: int
    entry: Entry
    sale: Sale
    said: Item
    currencies: set[str]
    stated: Item | None = None
    found: Returned = field(default_factory=Returned)
    quantity: int = 0
    strange: bool = False
    delivery: Delivery | None = None
    version: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether what the purchase counts is what its returns say. A return by amount names no quantities."""
        returned = returned_from(self.said)
        same_lines = self.quantity == sum(returned.quantities) and not self.strange
        same_version = self.said.get("rn") == self.version and len(self.currencies) == 1
        return self.found == returned.model_copy(update={"quantities": ()}) and same_lines and same_version

    @property
    def fault(self) -> Fault | None:
        """What does not fit, or None."""
        if self.said.get("rs") != self.stated:
            return Fault(self.seq, "the purchase is not as its last restatement says", self.entry.key)
        if delivery_from(self.said) != self.delivery:
            return Fault(self.seq, "the delivery that the purchase counts is not the one that was told", self.entry.key)
        if not self.adds_up:
            what = "what came back of the purchase is not what its returns add up to"
            return Fault(self.seq, what, self.entry.key)
        return None


class Sales:
    """Sees an account's entries in order, and says what does not fit at the end.

    Args:
        programs: every program version that an entry names.
    """

    def __init__(self, programs: Mapping[int, Program]) -> None:
        self._programs = programs
        self._bought: dict[tuple[str, ...], _Bought] = {}
        self._fault: Fault | None = None
        self._merged = False
        self._searched = 0

    def take(self, entry: Entry, item: Mapping[str, Any]) -> None:
        """See an entry and its item."""
        self._merged |= entry.reason is Reason.MERGE
        if entry.key.kind == "purchase":
            sale = sale_from(dict(item))
            if self._fault is None and not self._fits(entry, sale):
                self._found(Fault(entry.seq, "the sale is not the one that the entry answers", entry.key))
            if not item.keys().isdisjoint(("ret", "rn", "rs", "dl")):
                self._take_bought(entry, item, sale)
        elif entry.key.kind == "return":
            self._take_return(entry, item)
        elif entry.key.kind == "restatement":
            self._take_restatement(entry, item)
        elif entry.key.kind == "delivery":
            self._take_delivery(entry)

    def fault(self) -> Fault | None:
        """The first thing that does not fit, or None.

        Of accounts that were merged nothing is said: a return may be in the one and its purchase in the other, and a
        purchase may have been sent under the id of the one that went into the other.
        """
        if self._merged:
            return None
        if self._fault is not None:
            return self._fault
        return next((each.fault for each in self._bought.values() if each.fault is not None), None)

    def _fits(self, entry: Entry, sale: Sale) -> bool:
        """Whether the digest in the chain is that of a command with this sale."""
        program = self._programs.get(entry.program_version)
        if program is not None and sale.tender_minor != worth_minor(entry.consumed or 0, program.point_value):
            return False
        if entry.content is None:
            return True
        texts = list(_command_texts(entry, sale))
        if any(hashlib.sha256(text).digest() == entry.content for text in texts):
            return True
        if entry.recorded_at - entry.occurred_at > CUT_WITHIN:
            return False
        self._searched += 1
        if self._searched > SEARCHES_MAX:
            return True
        return any(_fits_later(text, milliseconds(entry.occurred_at), entry.content) for text in texts)

    def _take_bought(self, entry: Entry, item: Mapping[str, Any], sale: Sale) -> None:
        said = dict(item)
        returned, last = returned_from(said), sale_from(as_stated(said))
        bought = [line.quantity for line in last.lines]
        too_much = (
            returned.refund_minor > last.paid_minor
            or version_of(said) < returned.count
            or any(back > of for back, of in zip(returned.quantities, bought, strict=False))
        )
        if too_much:
            self._found(Fault(entry.seq, "more came back of the purchase than was bought", entry.key))
        self._bought[entry.key.parts] = _Bought(entry.seq, entry, sale, said, {sale.currency})

    def _take_return(self, entry: Entry, item: Mapping[str, Any]) -> None:
        bought = self._bought.get(entry.key.parts[:2])
        if bought is None:
            self._found(Fault(entry.seq, "the purchase does not count the return", entry.key))
            return
        found = bought.found
        bought.found = Returned(
            count=found.count + 1,
            amount_minor=found.amount_minor + item["am"],
            refund_minor=found.refund_minor + item["mb"],
            points_taken_back=found.points_taken_back - (entry.earned or 0),
            points_given_back=found.points_given_back - (entry.consumed or 0),
            qualifying_taken_back=found.qualifying_taken_back - (entry.qualifying or 0),
        )
        lines = item.get("rl") or ()
        bought.quantity += sum(quantity for _, quantity in lines)
        bought.strange |= not {sku for sku, _ in lines} <= {line.sku for line in bought.sale.lines}
        bought.currencies.add(item["cu"])
        bought.version += 1

    def _take_restatement(self, entry: Entry, item: Mapping[str, Any]) -> None:
        """The order as it is stated here is what later returns are of; those before it are done with."""
        bought = self._bought.get(entry.key.parts[:2])
        if bought is None or entry.key.parts[2] != str(bought.version + 1):
            self._found(Fault(entry.seq, "the purchase does not count the restatement", entry.key))
            return
        program = self._programs.get(bought.entry.program_version)
        if program is None:
            return
        said, before, found = sale_from(dict(item)), bought.entry, bought.found
        figures = {
            "earned": (before.earned or 0) - found.points_taken_back + (entry.earned or 0),
            "consumed": (before.consumed or 0) - found.points_given_back + (entry.consumed or 0),
            "qualifying": (before.qualifying or 0) - found.qualifying_taken_back + (entry.qualifying or 0),
        }
        stated = entry_stated(before, bought.sale, bought.delivery, program, figures)
        asked = item["tp"] == stated.consumed and _restatement_fits(entry, bought, said, item["tp"])
        if not asked:
            self._found(Fault(entry.seq, "what is stated is not what the entry answers", entry.key))
        tender_minor = worth_minor(stated.consumed or 0, program.point_value)
        changed = {"lines": said.lines, "paid_minor": said.paid_minor, "tender_minor": tender_minor}
        bought.entry, bought.sale = stated, bought.sale.model_copy(update=changed)
        bought.stated = stated_item(figures_item(stated), bought.sale)
        bought.found, bought.quantity, bought.strange = Returned(), 0, False
        bought.currencies.add(said.currency)
        bought.version += 1

    def _take_delivery(self, entry: Entry) -> None:
        """What the purchase says of its delivery follows from when it happened and when it was told."""
        bought = self._bought.get(entry.key.parts)
        if bought is None or bought.delivery is not None:
            self._found(Fault(entry.seq, "the purchase does not count the delivery", entry.key))
            return
        program, then = self._programs.get(bought.entry.program_version), self._programs.get(entry.program_version)
        if program is None or then is None:
            return
        if not _delivery_fits(entry, bought):
            self._found(Fault(entry.seq, "the delivery is not the one that the entry answers", entry.key))
        today = local_day(entry.recorded_at, then.time_zone)
        bought.delivery = delivered(bought.entry, program, entry.occurred_at, today)
        bought.version += 1

    def _found(self, fault: Fault) -> None:
        """Note what does not fit; the first of it counts."""
        if self._fault is None:
            self._fault = fault


def _command_texts(entry: Entry, sale: Sale) -> Iterator[bytes]:
    """The commands that the sale may have come with, in canonical form.

    Who did it may have been named, or whose account it is. A purchase that was paid with a whole hold may have named
    the points, or left them to the hold.
    """
    channel, order_no = entry.key.parts
    hold_id = hold_id_of(entry)
    tenders = {entry.consumed, None} if hold_id is not None else {entry.consumed}
    for account_id in (entry.member_id, entry.actor):
        for tender in tenders if account_id is not None else ():
            command = RecordPurchase.model_construct(
                channel=channel,
                order_no=order_no,
                member=MemberRef.model_construct(),
                shop_id=sale.shop_id,
                occurred_at=entry.occurred_at,
                currency=sale.currency,
                lines=sale.lines,
                paid_minor=sale.paid_minor,
                points_tender=tender,
                points_hold_id=hold_id,
                awaits_delivery=sale.awaits_delivery,
            )
            yield content_text(str(account_id), command)


def _restatement_fits(entry: Entry, bought: _Bought, said: Sale, tender: int) -> bool:
    """Whether the digest in the chain is that of a restatement to this.

    Version, channel, number, shop, time and currency may be sent along or not, and if they are, they are the
    purchase's: all that may have been sent is tried.
    """
    channel, order_no = bought.entry.key.parts
    may_say = {
        "version": bought.version,
        "channel": channel,
        "order_no": order_no,
        "shop_id": bought.sale.shop_id,
        "occurred_at": bought.entry.occurred_at,
        "currency": bought.sale.currency,
    }
    subsets = chain.from_iterable(combinations(may_say.items(), count) for count in range(len(may_say) + 1))
    command = RestatePurchase.model_construct(
        lines=said.lines, paid_minor=said.paid_minor, points_tender=tender, reason=entry.reason_code or ""
    )
    purchase_id = keys.purchase_id(channel, order_no)
    return any(
        content_digest(bought.entry.member_id, command.model_copy(update=dict(some)), purchase_id=purchase_id)
        == entry.content
        for some in subsets
    )


def _delivery_fits(entry: Entry, bought: _Bought) -> bool:
    """Whether the digest in the chain is that of a delivery at this time, or at none. A later time was cut to ours."""
    if entry.recorded_at - entry.occurred_at <= CUT_WITHIN:
        return True
    told = DeliverPurchase.model_construct(delivered_at=entry.occurred_at)
    purchase_id = keys.purchase_id(*entry.key.parts)
    return any(
        content_digest(bought.entry.member_id, each, purchase_id=purchase_id) == entry.content
        for each in (told, DeliverPurchase.model_construct())
    )


def _fits_later(text: bytes, at: int, wanted: bytes) -> bool:
    """Whether the command fits with a later time: that of a till whose clock was ahead of ours, and was cut to ours.

    All milliseconds are tried that would have been taken, whole seconds first.
    """
    before, mark, after = text.partition(b'"occurred_at":%d' % at)
    begun = hashlib.sha256(before)
    last = at + CLOCK_SKEW // timedelta(milliseconds=1) + 1
    for each in chain(range(at - at % 1000 + 1000, last, 1000), range(at + 1, last + 1)):
        tried = begun.copy()
        tried.update(b'"occurred_at":%d' % each + after)
        if tried.digest() == wanted:
            return bool(mark)
    return False
