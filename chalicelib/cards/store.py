"""How cards are stored.

    C#<card> / PROFILE   what was known when it was opened; never changed; stands in the directory
    C#<card> / OWNER     whose it is: the one place that says so, and the member's list of cards
    C#<card> / ACCOUNT   the account, as every account
    M#<member> / WALLET  how many cards a member was given; written with each, and when the membership closes
    C#<card> / TU#<key>  its top-ups, which are ledger entries
    K#card…#<key> / O    its other entries

An entry of a card adds: `what` the means (kind, amount, reference, key of the top-up that it goes back to), which the
timeline index copies, so that a statement is one read; rn how many refunds came of it, bk what they come to; of an
opening, ma the id of a member who was merged, under which it was sent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from chalicelib.cards.models import Card, CardKind, Paid
from chalicelib.cards.rules.holding import PRINCIPAL, UNDATED, figure
from chalicelib.cards.rules.refunds import Back, TopUp
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import AccountId, CardId, MemberId
from chalicelib.points.errors import AccountMoved
from chalicelib.points.models import Entry
from chalicelib.storage import keys
from chalicelib.storage.audited import GIVEN
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Rows, Table
from chalicelib.storage.writes import Absent, Held, Item, Put, Still, Unchanged, Write

# ---------------------------------------------------------------- reading


def find_items(table: Table, card_id: CardId, *, consistent: bool = False) -> tuple[Card, Item] | None:
    """A card and its account's item, in one read; None when there is no such card."""
    items = table.query_partition(
        keys.member_partition(card_id), first="ACCOUNT", last="PROFILE", consistent=consistent
    )
    found = {item["sk"]: item for item in items}
    if len(found) < 3:
        return None
    return card_from(found["PROFILE"], found["OWNER"]), found["ACCOUNT"]


def list_owned(
    table: Table, owner_ids: Sequence[AccountId], *, after: str | None, limit: int
) -> tuple[list[CardId], str | None]:
    """The ids of the cards of a member, and of those merged into them, newest first, and where the next ones start."""
    parts = [table.query_timeline(keys.cards_of(each), after=after, limit=limit) for each in owner_ids]
    rows = sorted((row for part in parts for row in part.items), key=lambda row: str(row["at"]), reverse=True)
    more = len(rows) > limit or any(part.last for part in parts)
    shown = rows[:limit]
    return [CardId(keys.account_of(row["pk"])) for row in shown], str(shown[-1]["at"]) if more and shown else None


def list_all_owned(table: Table, owner_ids: Sequence[AccountId]) -> list[CardId]:
    """The ids of all cards of a member, and of those merged into them, as far as the index knows of them."""
    found: list[CardId] = []
    for owner_id in owner_ids:
        after: str | None = None
        while True:
            rows = table.query_timeline(keys.cards_of(owner_id), after=after, limit=100)
            found += [CardId(keys.account_of(row["pk"])) for row in rows.items]
            after = rows.last
            if after is None:
                break
    return found


def find_cards(table: Table, card_ids: Sequence[CardId], *, consistent: bool = False) -> list[tuple[Card, Item]]:
    """Several cards with their accounts' items, in their order and in one read."""
    wanted = [(keys.profile(each), keys.card_owner(each), keys.account(each)) for each in card_ids]
    found = table.get_many([key for three in wanted for key in three], consistent=consistent)
    return [(card_from(found[p], found[o]), found[a]) for p, o, a in wanted if {p, o, a} <= found.keys()]


@dataclass(frozen=True, slots=True)
class Wallet:
    """How many cards a member was given.

    The list of a member's cards is an index, which lags; this tells whether one is missing from it.

    Attributes:
        version: counts its changes, so that a card that is opened meanwhile is not missed; 0: there is none yet.
    """

    member_id: AccountId
    cards: int = 0
    version: int = 0


def find_wallet(table: Table, member_id: AccountId) -> Wallet:
    """How many cards a member was given."""
    item = table.get(keys.wallet(member_id), consistent=True)
    return Wallet(member_id, item["cards"], item["version"]) if item is not None else Wallet(member_id)


def list_rows(table: Table, card_id: CardId, *, after: str | None, limit: int) -> Rows:
    """Rows of a card's statement, newest first, as the index holds them."""
    return table.query_timeline(keys.statement(card_id), after=after, limit=limit)


def find_entry_item(table: Table, card_id: CardId, entry_id: str, kind: str) -> Item | None:
    """The item of a card's entry of a kind, by its id; None when the card has no such entry."""
    key = keys.entry_of(entry_id)
    if key is None or keys.entry_parts(key)[0] != kind:
        return None
    item = table.get(key, consistent=True)
    return item if item is not None and item.get("tl") == keys.statement(card_id) and "r" in item else None


def find_top_ups(table: Table, card_id: CardId) -> list[Item]:
    """All top-ups of a card, as they are now."""
    items = table.query_partition(keys.member_partition(card_id), first="TU#", last="TU#\U0010ffff", consistent=True)
    return list(items)


# ---------------------------------------------------------------- describing writes


def open_card(card: Card, otherwise: Exception) -> list[Write]:
    """Writes of a new card besides its account and first entry."""
    return [Put(key, item, Absent(), lambda _: otherwise) for key, item in items_of(card).items()]


def items_of(card: Card) -> dict[Key, Item]:
    """What is stored of a card besides its account: what it is, and whose."""
    profile = {
        "tl": keys.directory(card.card_id),
        "at": card.card_id,
        "card_kind": card.kind.value,
        "currency": card.currency,
        "name": card.name,
        "number": card.card_number,
        "uses": card.uses or None,
        "price": card.price_minor or None,
        "product": card.product,
        "means": means_item(card.means),
        "opened": milliseconds(card.opened_at),
    }
    return {keys.profile(card.card_id): profile, keys.card_owner(card.card_id): _owner_item(card)}


def giving(entry: Write, given_minor: int) -> Write:
    """The write of an entry that gives what nobody paid for."""
    assert isinstance(entry, Put)
    return replace(entry, item={**entry.item, **given_item(given_minor)})


def count_in(wallet: Wallet, cards: int) -> Write:
    """The write that counts so many cards more, unless another was counted, or the membership closed, meanwhile."""
    condition = Unchanged(wallet.version) if wallet.version else Absent()
    item = {"cards": wallet.cards + cards, "version": wallet.version + 1}
    return Put(keys.wallet(wallet.member_id), item, condition, lambda _: AccountMoved())


def give_to(card: Card, giver: Wallet, taker: Wallet) -> list[Write]:
    """The writes that make a card another member's, unless somebody else did since it was read."""
    item = _owner_item(card.model_copy(update={"member_id": taker.member_id}))
    own = Put(keys.card_owner(card.card_id), item, Held(card.member_id), lambda _: AccountMoved())
    return [own, count_in(giver, -1), count_in(taker, 1)]


def _owner_item(card: Card) -> Item:
    shown = f"{milliseconds(card.opened_at):011x}{card.card_id.removeprefix('crd_')}"
    return {"member_id": card.member_id, "tl": keys.cards_of(card.member_id), "at": shown}


def count_back(item: Item, back: int) -> Write:
    """The write of what refunds of an entry come to, unless another came since it was read.

    The entry itself stays as it is: what comes back is no part of what its hash covers.
    """
    count: int = item.get("rn", 0)
    still = Still("rn", count or None)
    return Put(Key(item["pk"], item["sk"]), {**item, "rn": count + 1, "bk": back}, still, lambda _: AccountMoved())


def back_of(item: Item) -> int:
    """What refunds of an entry come to."""
    return int(item.get("bk", 0))


def entry_more(*, reference: str | None = None, means: Sequence[Paid] = (), payouts: Sequence[Back] = ()) -> Item:
    """The attributes that a command adds to its entry."""
    if payouts:
        ways = [
            [
                each.paid.kind,
                each.amount_minor,
                each.paid.reference or "",
                each.top_up.key.parts[1] if each.top_up else "",
            ]
            for each in payouts
        ]
        return {"rf": reference, "what": {"means": ways}}
    listed = means_item(means)
    return {"rf": reference, "what": {"means": listed} if listed else None}


def sent_item(owner_id: AccountId, member_id: AccountId) -> Item:
    """The attribute of an opening that was sent under the id of a member who was merged: the digest names that id."""
    return {"ma": member_id} if member_id != owner_id else {}


def given_item(given_minor: int) -> Item:
    """The attribute of an entry that gives what nobody paid for."""
    return {GIVEN: given_minor} if given_minor else {}


def means_item(means: Iterable[Paid]) -> list[list[Any]] | None:
    """Means as they are stored."""
    return [[each.kind, each.amount_minor, each.reference or "", ""] for each in means] or None


# ---------------------------------------------------------------- items


def card_from(profile: Item, owner: Item) -> Card:
    """The card that its items hold. Not validated: what was opened under older rules stays readable."""
    return Card.model_construct(
        card_id=CardId(keys.account_of(profile["pk"])),
        member_id=MemberId(owner["member_id"]),
        kind=CardKind(profile["card_kind"]),
        currency=profile["currency"],
        name=profile.get("name"),
        card_number=profile.get("number"),
        uses=profile.get("uses", 0),
        price_minor=profile.get("price", 0),
        product=profile.get("product"),
        means=_means(profile.get("means")),
        opened_at=from_milliseconds(profile["opened"]),
    )


def top_up_from(entry: Entry, item: Item) -> TopUp:
    """The top-up that an item holds."""
    buckets = entry.sums.earned if entry.sums else {}
    return TopUp(
        key=entry.key,
        seq=entry.seq,
        principal=figure(entry, "principal"),
        bonus=figure(entry, "bonus"),
        bonus_on=_bonus_day(buckets),
        means=_means((item.get("what") or {}).get("means")),
        back=back_of(item),
    )


def _bonus_day(buckets: dict[date, int]) -> date:
    return next((day for day in buckets if day != PRINCIPAL), UNDATED)


def _means(stored: Iterable[Sequence[Any]] | None) -> tuple[Paid, ...]:
    return tuple(
        Paid.model_construct(kind=kind, amount_minor=amount, reference=reference or None)
        for kind, amount, reference, _ in stored or ()
    )
