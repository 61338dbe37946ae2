"""Whether what purchases and returns keep beside their entries fits: money, lines, and what came back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any

from chalicelib.kernel.calendar import local_day, milliseconds
from chalicelib.kernel.ids import AccountId
from chalicelib.members.models import MemberRef
from chalicelib.points.models import Account, Entry, EntryKey, Reason
from chalicelib.points.service import content_digest, content_text
from chalicelib.points.store import entry_from, figures_item, find_account
from chalicelib.programs.models import Program
from chalicelib.programs.rules import worth_minor
from chalicelib.proof.digests import CUT_WITHIN, Digests
from chalicelib.proof.models import Fault
from chalicelib.purchases.errors import ReturnLineUnknown, ReturnTooLarge
from chalicelib.purchases.models import (
    After,
    DeliverPurchase,
    Delivery,
    RecordPurchase,
    RestatePurchase,
    Returned,
    ReturnLine,
    ReturnPurchase,
    Sale,
)
from chalicelib.purchases.rules.deliveries import delivered
from chalicelib.purchases.rules.orders import goods_minor
from chalicelib.purchases.rules.restatements import entry_stated
from chalicelib.purchases.rules.returns import quantities_after, share
from chalicelib.purchases.store import (
    after_from,
    as_stated,
    delivery_from,
    find_order_history,
    find_purchase,
    hold_id_of,
    returned_from,
    sale_from,
    sent_under,
    stated_item,
    version_of,
)
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

_CHANGES = ("return", "restatement", "delivery")
"""Kinds of entries of what happens to a purchase."""

Answers = Callable[[Entry, Iterable[bytes]], bool]
"""Whether the digest in an entry is that of one of some commands in canonical form."""


@dataclass(slots=True)
class _Bought:
    """A purchase that was returned, restated or delivered: what its item says of that, and what its entries come to.

    Attributes:
        entry, sale: as it was last stated, by the restatements that were seen.
        program: the version that it was decided by.
        said: its item.
        stated: what `rs` of its item must be.
        found: what came back since it was last stated.
        delivery: what was told of its delivery.
        version: how many returns, restatements and deliveries were seen.
        broken: the first of these that does not fit.
    """

    seq: int
    entry: Entry
    sale: Sale
    program: Program | None
    said: Item
    currencies: set[str]
    stated: Item | None = None
    found: Returned = field(default_factory=Returned)
    delivery: Delivery | None = None
    version: int = 0
    broken: Fault | None = None

    def take(self, entry: Entry, item: Mapping[str, Any], told_by: Program | None, answers: Answers) -> None:
        """See what happened to the purchase next.

        Args:
            told_by: the program version of the entry.
        """
        match entry.key.kind:
            case "return":
                what = self._take_return(entry, item, answers)
            case "restatement":
                what = self._take_restatement(entry, item)
            case _:
                what = self._take_delivery(entry, told_by)
        if what is not None and self.broken is None:
            self.broken = Fault(entry.seq, what, entry.key)

    @property
    def fault(self) -> Fault | None:
        """What does not fit, or None."""
        if self.broken is not None:
            return self.broken
        if self.said.get("rs") != self.stated:
            return Fault(self.seq, "the purchase is not as its last restatement says", self.entry.key)
        if delivery_from(self.said) != self.delivery:
            return Fault(self.seq, "the delivery that the purchase counts is not the one that was told", self.entry.key)
        same_version = self.said.get("rn") == self.version and len(self.currencies) == 1
        if self.found != returned_from(self.said) or not same_version:
            what = "what came back of the purchase is not what its returns add up to"
            return Fault(self.seq, what, self.entry.key)
        return None

    def _take_return(self, entry: Entry, item: Mapping[str, Any], answers: Answers) -> str | None:
        found, sale = self.found, self.sale
        self.version += 1
        self.currencies.add(item["cu"])
        named = _lines(item.get("rl") or ())
        back = found.quantities or (0,) * len(sale.lines)
        left = _lines((line.sku, line.quantity - some) for line, some in zip(sale.lines, back, strict=True))
        try:
            quantities = quantities_after(sale, found.quantities, named)
        except (ReturnTooLarge, ReturnLineUnknown):
            return "more came back of a line than was bought"
        self.found = Returned(
            count=found.count + 1,
            amount_minor=found.amount_minor + item["am"],
            refund_minor=found.refund_minor + item["mb"],
            points_taken_back=found.points_taken_back - (entry.earned or 0),
            points_given_back=found.points_given_back - (entry.consumed or 0),
            qualifying_taken_back=found.qualifying_taken_back - (entry.qualifying or 0),
            quantities=quantities,
        )
        total = goods_minor(sale)
        if total and self.found.refund_minor != share(sale.paid_minor, self.found.amount_minor, total):
            return "the money back is not the share of what came back"
        amount = [why.args for why in entry.why if why.rule_id == "return"] == [(item["am"],)]
        if not amount or not answers(entry, _return_texts(entry, self, item["am"], named, left)):
            return "the return is not the one that the entry answers"
        return None

    def _take_restatement(self, entry: Entry, item: Mapping[str, Any]) -> str | None:
        """The order as it is stated here is what later returns are of; those before it are done with."""
        if entry.key.parts[2] != str(self.version + 1):
            return "the purchase does not count the restatement"
        if self.program is None:
            return None
        said, before, found = sale_from(dict(item)), self.entry, self.found
        figures = {
            "earned": (before.earned or 0) - found.points_taken_back + (entry.earned or 0),
            "consumed": (before.consumed or 0) - found.points_given_back + (entry.consumed or 0),
            "qualifying": (before.qualifying or 0) - found.qualifying_taken_back + (entry.qualifying or 0),
        }
        stated = entry_stated(before, self.sale, self.delivery, self.program, figures)
        asked = item["tp"] == stated.consumed and _restatement_fits(entry, self, said, item["tp"])
        tender_minor = worth_minor(stated.consumed or 0, self.program.point_value)
        changed = {"lines": said.lines, "paid_minor": said.paid_minor, "tender_minor": tender_minor}
        self.entry, self.sale = stated, self.sale.model_copy(update=changed)
        self.stated = stated_item(figures_item(stated), self.sale)
        self.found = Returned()
        self.currencies.add(said.currency)
        self.version += 1
        return None if asked else "what is stated is not what the entry answers"

    def _take_delivery(self, entry: Entry, told_by: Program | None) -> str | None:
        """What the purchase says of its delivery follows from when it happened and when it was told."""
        if self.delivery is not None:
            return "the purchase does not count the delivery"
        self.version += 1
        if self.program is None or told_by is None:
            return None
        fits = _delivery_fits(entry, self)
        today = local_day(entry.recorded_at, told_by.time_zone)
        self.delivery = delivered(self.entry, self.program, entry.occurred_at, today)
        return None if fits else "the delivery is not the one that the entry answers"


@dataclass(slots=True)
class _Ending:
    """What a purchase says that the account had after it and the returns that went with it, sought in the entries."""

    entry: Entry
    said: After
    tier_id: str
    fits: bool = False

    def goes_on(self, entry: Entry) -> bool:
        """Look at the next entry, if it may be of the same transaction: those are a millisecond apart."""
        apart = milliseconds(entry.recorded_at) - milliseconds(self.entry.recorded_at)
        if apart != entry.seq - self.entry.seq:
            return False
        self.tier_id = entry.tier_after or self.tier_id
        self.fits |= After(entry.balance_after, self.tier_id) == self.said
        return True


class Sales:
    """Sees an account's entries in order, and says what does not fit at the end.

    What happened to a purchase after its member was merged stands in the account of the one who stayed. So in accounts
    that were merged each purchase is judged with all that stands under its key, in whichever account; that this is in
    its account's chain is for the proof of that account to say.

    Args:
        programs: every program version that an entry names.
        table: where what stands in other accounts is read.
    """

    def __init__(self, account: Account, programs: Mapping[int, Program], table: Table, digests: Digests) -> None:
        self._account = account
        self._programs = programs
        self._table = table
        self._bought: dict[tuple[str, ...], _Bought] = {}
        self._alone: list[Entry] = []
        self._changes: set[EntryKey] = set()
        self._ending: _Ending | None = None
        self._fault: Fault | None = None
        self._merged = False
        self._answers = digests.answers

    def take(self, entry: Entry, item: Mapping[str, Any]) -> None:
        """See an entry and its item."""
        self._merged |= entry.reason is Reason.MERGE
        if self._ending is not None and not self._ending.goes_on(entry):
            self._end()
        if entry.key.kind == "purchase":
            said = dict(item)
            sale = sale_from(said)
            if self._fault is None and not self._fits(entry, sale, sent_under(said)):
                self._found(Fault(entry.seq, "the sale is not the one that the entry answers", entry.key))
            after = after_from(said)
            if after is not None:
                self._end()
                self._ending = _Ending(entry, after, entry.tier_after or "")
            if not item.keys().isdisjoint(("ret", "rn", "rs", "dl")):
                self._take_bought(entry, said, sale)
        elif entry.key.kind in _CHANGES:
            self._changes.add(entry.key)
            bought = self._bought.get(entry.key.parts[:2])
            if bought is None:
                self._alone.append(entry)
            else:
                bought.take(entry, item, self._programs.get(entry.program_version), self._answers)

    def fault(self) -> Fault | None:
        """The first thing that does not fit, or None."""
        self._end()
        if self._fault is not None:
            return self._fault
        whole = (self._with_others(each) if self._merged else each for each in self._bought.values())
        found = next((each.fault for each in whole if each.fault is not None), None)
        alone = next((each for each in self._alone if not (self._merged and self._is_counted_elsewhere(each))), None)
        if found is None and alone is not None:
            return Fault(alone.seq, f"the purchase does not count the {alone.key.kind}", alone.key)
        return found

    def _fits(self, entry: Entry, sale: Sale, sent: AccountId | None) -> bool:
        """Whether the digest in the chain is that of a command with this sale.

        It may name whoever did it, or the account, or a member who was merged into it.
        """
        program = self._programs.get(entry.program_version)
        if program is not None and sale.tender_minor != worth_minor(entry.consumed or 0, program.point_value):
            return False
        absorbed = self._account.absorbed if self._merged else ()
        named = [each for each in (entry.member_id, entry.actor, sent, *absorbed) if each is not None]
        return self._answers(entry, _command_texts(entry, sale, named))

    def _take_bought(self, entry: Entry, said: Item, sale: Sale) -> None:
        returned, last = returned_from(said), sale_from(as_stated(said))
        bought = [line.quantity for line in last.lines]
        too_much = (
            returned.refund_minor > last.paid_minor
            or version_of(said) < returned.count
            or any(back > of for back, of in zip(returned.quantities, bought, strict=False))
        )
        if too_much:
            self._found(Fault(entry.seq, "more came back of the purchase than was bought", entry.key))
        self._bought[entry.key.parts] = self._fresh(entry, said, sale)

    def _fresh(self, entry: Entry, said: Item, sale: Sale) -> _Bought:
        program = self._programs.get(entry.program_version)
        return _Bought(entry.seq, entry, sale, program, said, {sale.currency})

    def _with_others(self, bought: _Bought) -> _Bought:
        """The purchase as it is with what happened to it in other accounts too."""
        whole = self._fresh(entry_from(bought.said), bought.said, sale_from(bought.said))
        for item in find_order_history(self._table, keys.purchase(*whole.entry.key.parts)):
            entry = entry_from(item)
            if not self._stands(entry, item):
                whole.broken = Fault(whole.seq, f"a {entry.key.kind} of the purchase is in no account", entry.key)
                break
            whole.take(entry, item, self._programs.get(entry.program_version), self._answers)
        return whole

    def _stands(self, entry: Entry, item: Item) -> bool:
        """Whether an entry is in the account that it names: in this one it was seen, in others the index lists it."""
        if entry.member_id == self._account.member_id:
            return entry.key in self._changes
        other = find_account(self._table, entry.member_id)
        return item.get("tl") == keys.statement(entry.member_id) and other is not None and entry.seq <= other.seq

    def _is_counted_elsewhere(self, entry: Entry) -> bool:
        """Whether a change is of a purchase that stands in another account, whose proof counts it."""
        item = find_purchase(self._table, keys.purchase(*entry.key.parts[:2]), consistent=True)
        if item is None or not version_of(item):
            return False
        own = entry_from(item).member_id
        return own != self._account.member_id and item.get("tl") == keys.statement(own)

    def _end(self) -> None:
        """The entries that may have been written with a purchase are over."""
        ending, self._ending = self._ending, None
        if ending is not None and not ending.fits:
            what = "what the account had after the returns that waited does not follow"
            self._found(Fault(ending.entry.seq, what, ending.entry.key))

    def _found(self, fault: Fault) -> None:
        """Note what does not fit; the first of it counts."""
        if self._fault is None:
            self._fault = fault


def _command_texts(entry: Entry, sale: Sale, named: Sequence[AccountId]) -> Iterator[bytes]:
    """The commands that the sale may have come with, in canonical form.

    A purchase that was paid with a whole hold may have named the points, or left them to the hold.

    Args:
        named: whom it may have named.
    """
    channel, order_no = entry.key.parts
    hold_id = hold_id_of(entry)
    tenders = {entry.consumed, None} if hold_id is not None else {entry.consumed}
    for account_id in named:
        for tender in tenders:
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


def _lines(rows: Iterable[tuple[str, int]]) -> tuple[ReturnLine, ...]:
    """Lines of which something came back."""
    return tuple(ReturnLine.model_construct(sku=sku, quantity=some) for sku, some in rows if some)


def _return_texts(
    entry: Entry, bought: _Bought, amount_minor: int, named: tuple[ReturnLine, ...], left: tuple[ReturnLine, ...]
) -> Iterator[bytes]:
    """The commands that a return may have come with: lines, an amount, or neither, which is all that was left."""
    ways: list[dict[str, Any]] = [{"lines": named}] if named else [{"amount_minor": amount_minor}]
    if named == left:
        ways.append({})
    purchase_id = keys.purchase_id(*bought.entry.key.parts)
    for way in ways:
        for at in (None, entry.occurred_at):
            command = ReturnPurchase.model_construct(reason=entry.reason_code or "", occurred_at=at, **way)
            yield content_text(bought.entry.member_id, command, purchase_id=purchase_id)


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
