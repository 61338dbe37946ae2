"""Whether what a card keeps beside its entries fits: what it is, whose, by which means was paid, and what went back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.cards import store as cards_store
from chalicelib.cards import views
from chalicelib.cards.models import Card, OpenCard, Paid, SpendCard, TopUpCard, UseCard
from chalicelib.cards.rules.holding import figure
from chalicelib.cards.rules.refunds import by_means
from chalicelib.kernel.ids import AccountId, CardId
from chalicelib.members.store import is_erased
from chalicelib.points.models import Account, Entry, EntryKey
from chalicelib.points.service import content_text
from chalicelib.points.store import find_account, find_answering
from chalicelib.programs.models import Program
from chalicelib.proof.digests import Digests
from chalicelib.proof.models import Fault
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

_REFUNDED = ("top_up", "card_spend", "card_use")
"""Kinds of entries of which something comes back."""


@dataclass(slots=True)
class _Paid:
    """A payment into the card: a top-up, or the price of its visits.

    Attributes:
        name: by which a payout names it.
        back: what was paid back of it.
    """

    means: tuple[Paid, ...]
    name: str
    back: int = 0


@dataclass(slots=True)
class _Refunded:
    """What an entry says came back of it, and what came back by the entries after it.

    Attributes:
        said, found: how often, and how much.
    """

    entry: Entry
    reference: str | None
    said: tuple[int, int]
    found: tuple[int, int] = (0, 0)


class CardLife:
    """Sees a card's entries in order, and says what does not fit at the end.

    The chain has the digest of each command and, of means, kind and amount. So what stands beside an entry is proven
    by making the command again from it; what went back follows from the means by which was paid in.

    Args:
        beside: the items of what the card is, and of whose it is.
        programs: every program version that an entry names.
        table: where a member is read who was merged into the owner.
    """

    def __init__(
        self,
        account: Account,
        beside: Mapping[Key, Item],
        programs: Mapping[int, Program],
        table: Table,
        digests: Digests,
    ) -> None:
        self._card_id = CardId(account.member_id)
        self._beside = beside
        self._programs = programs
        self._table = table
        self._digests = digests
        self._paid: dict[int, _Paid] = {}
        self._refunded: dict[EntryKey, _Refunded] = {}
        self._card: Card | None = None
        self._uses_back = 0
        self._fault: Fault | None = None

    def take(self, entry: Entry, item: Mapping[str, Any]) -> None:
        """See an entry and its item."""
        if self._fault is not None:
            return
        what = self._wrong(entry, dict(item))
        if what is not None:
            self._fault = Fault(entry.seq, what, entry.key)

    def fault(self) -> Fault | None:
        """The first thing that does not fit, or None."""
        if self._fault is not None:
            return self._fault
        wrong = next((each.entry for each in self._refunded.values() if each.said != each.found), None)
        if wrong is not None:
            return Fault(wrong.seq, "what came back of it is not what its refunds add up to", wrong.key)
        return None

    def _wrong(self, entry: Entry, item: Item) -> str | None:
        if (self._card is None) != (entry.key.kind == "card"):
            return "a card's first entry is its opening, and no other is"
        if entry.key.kind in _REFUNDED:
            self._refunded[entry.key] = _Refunded(entry, item.get("rf"), (item.get("rn", 0), item.get("bk", 0)))
        match entry.key.kind:
            case "card":
                return self._opened(entry, item)
            case "top_up":
                return self._topped_up(entry, item)
            case "card_spend" | "card_use":
                fits = self._digests.answers(entry, _using_texts(self._card_id, entry, item))
                return None if fits else "the reference is not the one that the entry answers"
            case "card_spend_refund" | "card_use_reversal":
                return self._given_back(entry, item)
            case "card_refund":
                return self._paid_back(entry, item)
        return None

    def _opened(self, entry: Entry, item: Item) -> str | None:
        """What the card is, and whose, is what the opening says."""
        program = self._programs.get(entry.program_version)
        profile = self._beside.get(keys.profile(self._card_id))
        owner = self._beside.get(keys.card_owner(self._card_id))
        if profile is None or owner is None or entry.actor is None or program is None:
            return "what the card is, or whose, is not there"
        card = cards_store.card_from(profile, owner)
        self._card = card
        if card.member_id != entry.actor:
            return "the card's owner is not the member for whom it was opened"
        stated = cards_store.items_of(
            card.model_copy(update={"currency": program.currency, "opened_at": entry.occurred_at})
        )
        if [profile, owner] != [_stored(key, each) for key, each in stated.items()]:
            return "what the card is, or whose, does not stand as it is written"
        fits = self._digests.answers(entry, self._opening_texts(entry, item, card))
        if not fits and not (card.name is None and self._was_erased(card.member_id)):
            return "the card is not the one that the entry opened"
        if _means_in(item) != (cards_store.means_item(card.means) or []):
            return "the means are not those by which the card was paid"
        self._paid[entry.seq] = _Paid(card.means, "")
        return None

    def _was_erased(self, owner_id: AccountId) -> bool:
        """Whether the owner was erased, and with them the name of the card: the opening cannot be made again."""
        answering = find_answering(self._table, owner_id)
        item = self._table.get(keys.profile(answering.member_id), consistent=True) if answering is not None else None
        return item is not None and is_erased(item)

    def _opening_texts(self, entry: Entry, item: Item, card: Card) -> Iterator[bytes]:
        """The commands that the card may have been opened with: for its owner, or a member merged into them."""
        command = OpenCard.model_construct(
            kind=card.kind,
            name=card.name,
            card_number=card.card_number,
            uses=card.uses or None,
            expires_on=views.last_day_set(entry),
            price_minor=card.price_minor,
            product=card.product,
            means=card.means,
        )
        yield content_text(item.get("ma", card.member_id), command)
        owner = find_account(self._table, card.member_id) if "ma" not in item else None
        for each in owner.absorbed if owner is not None else ():
            yield content_text(each, command)

    def _topped_up(self, entry: Entry, item: Item) -> str | None:
        top_up = cards_store.top_up_from(entry, item)
        if not self._digests.answers(entry, _top_up_texts(self._card_id, entry, item, top_up.means)):
            return "the means or the reference are not those that the entry answers"
        self._paid[entry.seq] = _Paid(top_up.means, entry.key.parts[1])
        return None

    def _given_back(self, entry: Entry, item: Item) -> str | None:
        """Of a spend or a use something came back to the card."""
        of = self._refunded.get(entry.cause) if entry.cause is not None else None
        if of is None:
            return "what it gives back is not there"
        of.found = (of.found[0] + 1, of.found[1] + entry.points)
        return None if item.get("rf") == of.reference else "the reference is not that of what it gives back"

    def _paid_back(self, entry: Entry, item: Item) -> str | None:
        """Money went back by the means by which it was paid in: which follows from what went back before."""
        assert self._card is not None
        told: dict[int, int] = {}
        for why in entry.why:
            if _is_back(why.rule_id):
                told[why.args[1]] = told.get(why.args[1], 0) + why.args[0]
        ways: list[list[Any]] = []
        for seq, amount in told.items():
            paid = self._paid.get(seq)
            if paid is None:
                return "it goes back to what was never paid"
            after = paid.back + amount
            back = by_means(paid.means, paid.back, after)
            ways += [[each.kind, minor, each.reference or "", paid.name] for each, minor in back]
            paid.back = after
        self._count_back(told)
        if self._card.uses:
            self._uses_back -= entry.earned or 0
            if self._paid[1].back != self._card.price_minor * self._uses_back // self._card.uses:
                return "the money back is not the share of the visits"
        chained = [[why.rule_id.removeprefix("back."), why.args[0]] for why in entry.why if _is_back(why.rule_id)]
        fits = chained == [way[:2] for way in ways] and _means_in(item) == ways
        return None if fits else "the means are not those by which it was paid"

    def _count_back(self, told: Mapping[int, int]) -> None:
        """Count what goes back beside the top-ups that it goes back to."""
        by_seq = {each.entry.seq: each for each in self._refunded.values() if each.entry.key.kind == "top_up"}
        for seq, amount in told.items():
            if seq in by_seq:
                of = by_seq[seq]
                of.found = (of.found[0] + 1, of.found[1] + amount)


def _is_back(rule_id: str) -> bool:
    return rule_id.startswith("back.")


def _means_in(item: Item) -> list[list[Any]]:
    """Means as they stand beside an entry."""
    return (item.get("what") or {}).get("means") or []


def _stored(key: Key, item: Item) -> Item:
    """An item as it comes back."""
    return {"pk": key.pk, "sk": key.sk, **{name: value for name, value in item.items() if value is not None}}


def _top_up_texts(card_id: CardId, entry: Entry, item: Item, means: tuple[Paid, ...]) -> Iterator[bytes]:
    """The commands that a top-up may have come with: with its time, or without."""
    for at in (None, entry.occurred_at):
        command = TopUpCard.model_construct(
            amount_minor=figure(entry, "principal"),
            bonus_minor=figure(entry, "bonus"),
            bonus_expires_on=views.last_day_set(entry),
            means=means,
            reference=item.get("rf"),
            occurred_at=at,
        )
        yield content_text(card_id, command)


def _using_texts(card_id: CardId, entry: Entry, item: Item) -> Iterator[bytes]:
    """The commands that a spend or a use may have come with."""
    for at in (None, entry.occurred_at):
        command: SpendCard | UseCard
        if entry.key.kind == "card_spend":
            command = SpendCard.model_construct(amount_minor=-entry.points, reference=item.get("rf"), occurred_at=at)
        else:
            command = UseCard.model_construct(count=-entry.points, reference=item.get("rf"), occurred_at=at)
        yield content_text(card_id, command)
