"""How purchases are stored: as their ledger entry, with the sale beside it.

Basket lines are packed, so that a basket of 40 fits one kilobyte with its entry (ADR 0008):

    form (1 byte) · count · words (length, bytes) · SKUs · for each line price and quantity

Words are names and categories, column after column, deflated in GB 18030, which spells a Chinese character in two bytes
where UTF-8 takes three. Retail article numbers (13 digits with a right check digit) take five bytes each: their check
digit follows from the others. Other SKUs are deflated text. Numbers are variable-length (LEB128); the lowest bit of a
price says whether a quantity other than 1 follows.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import AccountId, HoldId, MemberId, ShopId
from chalicelib.points.models import Entry
from chalicelib.purchases.errors import RECORDED, OrderMoved, PurchaseAwaited
from chalicelib.purchases.models import (
    After,
    Delivery,
    PurchaseLine,
    Returned,
    ReturnLine,
    ReturnPurchase,
    Sale,
    Waiting,
)
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Still, Write

_FORM = 2
_ARTICLES, _TEXT = 0, 1


def find_purchase(table: Table, key: Key, *, consistent: bool = False) -> Item | None:
    """The purchase under a key, or None, also where returns wait for it."""
    item = table.get(key, consistent=consistent)
    return None if item is None or is_waiting(item) else item


def find_order(table: Table, key: Key) -> Item | None:
    """The purchase under a key, or the returns that wait for it, or None."""
    return table.get(key, consistent=True)


def is_purchase(row: Item) -> bool:
    """Whether a row of the statement is a purchase."""
    return str(row["pk"]).startswith("O#") and row["sk"] == "O"


def find_purchases(table: Table, rows: list[Item]) -> list[Item]:
    """The purchases of statement rows in full, in their order.

    The index may know of a purchase before a read that need not be consistent does, which then finds nothing there or
    the returns that wait for it.
    """
    wanted = [Key(row["pk"], row["sk"]) for row in rows]
    found = {key: item for key, item in table.get_many(wanted).items() if not is_waiting(item)}
    items = (found.get(key) or table.get(key, consistent=True) for key in wanted)
    return [item for item in items if item is not None]


def sale_item(sale: Sale) -> dict[str, Any]:
    """The attributes that a sale adds to its entry: sh shop, cu currency, m paid, tn tender, ln lines, aw waits for its
    delivery."""
    return {
        "sh": sale.shop_id,
        "cu": sale.currency,
        "m": sale.paid_minor,
        "tn": sale.tender_minor or None,
        "ln": packed_lines(sale.lines) if sale.lines else None,
        "aw": sale.awaits_delivery or None,
    }


def sent_item(account_id: AccountId, member_id: MemberId) -> dict[str, Any]:
    """The attribute of a purchase that was sent under the id of a member who was merged: its digest names that id."""
    return {"ma": member_id} if member_id != account_id else {}


def sent_under(item: Item) -> AccountId | None:
    """The id that a purchase was sent under, where it is another than its account's."""
    return AccountId(item["ma"]) if "ma" in item else None


def sale_from(item: Item) -> Sale:
    """The sale that an item holds."""
    return Sale(
        shop_id=shop_of(item),
        currency=item["cu"],
        paid_minor=item["m"],
        tender_minor=item.get("tn", 0),
        lines=unpacked_lines(item["ln"]) if "ln" in item else (),
        awaits_delivery=item.get("aw", False),
    )


def after_item(after: After) -> dict[str, Any]:
    """The attribute of a purchase that was recorded with returns that waited for it: what the account had then."""
    return {"af": [after.balance, after.tier_id]}


def after_from(item: Item) -> After | None:
    """What the account had after a purchase and the returns that went with it; None where none did."""
    return After(*item["af"]) if "af" in item else None


def shop_of(item: Item) -> ShopId | None:
    """The shop of the purchase that an item holds."""
    return ShopId(item["sh"]) if "sh" in item else None


def hold_id_of(entry: Entry) -> HoldId | None:
    """The hold that a purchase was paid with, or None."""
    return keys.hold_id(*entry.cause.parts) if entry.cause and entry.cause.kind == "hold" else None


# ---------------------------------------------------------------- returns, restatements, delivery

_RETURNED = ("count", "amount_minor", "refund_minor", "points_taken_back", "points_given_back", "qualifying_taken_back")


_STATED = ("m", "tn", "ln", "e", "c", "q", "x", "mt", "pd")
"""The attributes of a purchase that a restatement gives another value; `rs` holds the values."""


def find_returns(table: Table, key: Key) -> tuple[Item, ...]:
    """The returns of a purchase, refused ones among them, in the order of their keys."""
    return table.query_partition(key.pk, first="RF#", last="RF#\U0010ffff")


def find_changes(table: Table, key: Key) -> tuple[Item, ...]:
    """The entries of a purchase's returns and restatements, in the order in which they were recorded."""
    items = table.query_partition(key.pk, first="RF#", last="RS#\U0010ffff", consistent=True)
    return tuple(sorted((item for item in items if not is_refused(item)), key=lambda item: str(item["at"])))


def find_order_history(table: Table, key: Key) -> tuple[Item, ...]:
    """The entries of a purchase's returns, restatements and delivery, in the order in which they were recorded."""
    items = table.query_partition(key.pk, first="DL", last="RS#\U0010ffff", consistent=True)
    changes = (item for item in items if item["sk"] != key.sk and not is_refused(item))
    return tuple(sorted(changes, key=lambda item: str(item["at"])))


def as_stated(item: Item) -> Item:
    """A purchase's item as it would be, had it been bought as it was last stated."""
    if "rs" not in item:
        return item
    return {**{name: value for name, value in item.items() if name not in _STATED}, **item["rs"]}


def version_of(item: Item) -> int:
    """How often a purchase was returned, restated or delivered."""
    return int(item.get("rn", 0))


def returned_from(item: Item) -> Returned:
    """What came back of the purchase that an item holds."""
    if "ret" not in item:
        return Returned()
    figures, quantities = item["ret"]
    return Returned(**dict(zip(_RETURNED, figures, strict=True)), quantities=tuple(quantities))


def returned_item(after: Returned, version: int) -> dict[str, Any]:
    """The attributes that say what came back of a purchase."""
    return {"rn": version, "ret": [[getattr(after, name) for name in _RETURNED], list(after.quantities)]}


def count_return(item: Item, after: Returned) -> Write:
    """The write of what came back of a purchase, unless it was returned, restated or delivered since it was read.

    The entry of the purchase stays as it is: what comes back is no part of what its hash covers.
    """
    return _changed(item, {**item, **returned_item(after, version_of(item) + 1)})


def delivery_from(item: Item) -> Delivery | None:
    """The delivery of the purchase that an item holds, where one was told."""
    if "dl" not in item:
        return None
    delivered, day = item["dl"]
    return Delivery(delivered_at=from_milliseconds(delivered), matures_on=date.fromordinal(day) if day else None)


def deliver(item: Item, delivery: Delivery) -> Write:
    """The write of a purchase's delivery, unless it was returned, restated or delivered since it was read.

    It stands beside what was recorded: from then on returns take the points from where the delivery put them.
    """
    day = delivery.matures_on.toordinal() if delivery.matures_on else 0
    told = [milliseconds(delivery.delivered_at), day]
    return _changed(item, {**item, "rn": version_of(item) + 1, "dl": told})


def restate(item: Item, figures: Item, sale: Sale) -> Write:
    """The write of a purchase as it is stated now, unless it was returned, restated or delivered since it was read.

    Args:
        figures: the attributes of what it moves now.
    """
    rest = {name: value for name, value in item.items() if name != "ret"}
    return _changed(item, {**rest, "rn": version_of(item) + 1, "rs": stated_item(figures, sale)})


def stated_item(figures: Item, sale: Sale) -> Item:
    """What a purchase's item says in `rs`, where it was restated.

    Args:
        figures: the attributes of what the purchase moves now.
    """
    now = figures | sale_item(sale)
    return {name: now[name] for name in _STATED if now[name] is not None}


def _changed(item: Item, after: Item) -> Write:
    return Put(Key(item["pk"], item["sk"]), after, Still("rn", item.get("rn")), lambda _: OrderMoved())


def restatement_item(sale: Sale, tender: int) -> dict[str, Any]:
    """The attributes that a restatement adds to its entry: cu currency, m paid, tp points tendered, ln lines."""
    return {
        "cu": sale.currency,
        "m": sale.paid_minor,
        "tp": tender,
        "ln": packed_lines(sale.lines) if sale.lines else None,
    }


def return_item(sale: Sale, before: Returned, after: Returned, lines: Sequence[ReturnLine]) -> dict[str, Any]:
    """The attributes that a return adds to its entry: am amount, mb money back, cu currency, rl lines."""
    return {
        "am": after.amount_minor - before.amount_minor,
        "mb": after.refund_minor - before.refund_minor,
        "cu": sale.currency,
        "rl": [[line.sku, line.quantity] for line in lines] or None,
    }


# ---------------------------------------------------------------- returns before their purchase

_WAITING = "waiting"


def is_waiting(item: Item) -> bool:
    """Whether returns wait under a purchase's key, which has not come yet."""
    return item.get("is") == _WAITING


def waiting_from(item: Item | None) -> tuple[Waiting, ...]:
    """The returns that wait under a purchase's key, in the order in which they came."""
    if item is None:
        return ()
    return tuple(_waiting_from(each) for each in item["wr"])


def keep_waiting(key: Key, before: Item | None, waiting: Sequence[Waiting]) -> Write:
    """The write of the returns that wait for a purchase, unless it came or others did since the key was read.

    They wait under the very key that the purchase is written under if that is absent, so neither can miss the other.
    """
    number = before["wn"] + 1 if before else 1
    item = {"is": _WAITING, "wn": number, "wr": [_waiting_item(each) for each in waiting]}
    return Put(key, item, Still("wn", before["wn"]) if before else Absent(), lambda _: OrderMoved())


def record(own: Write, awaited: Item | None) -> Write:
    """The write of a purchase's own entry, which finds the returns that wait for it where the key is taken.

    Args:
        awaited: the returns that were found and go with it.
    """
    assert isinstance(own, Put)
    known = own.otherwise

    def otherwise(item: Item) -> Exception:
        return PurchaseAwaited(item) if is_waiting(item) else known(item)

    return replace(own, condition=Still("wn", awaited["wn"]) if awaited else Absent(), otherwise=otherwise)


def find_return(table: Table, key: Key) -> Item | None:
    """The return under a key, applied or refused, or None."""
    return table.get(key, consistent=True)


def refuse_return(key: Key, waiting: Waiting, refusal: Refusal, member_id: AccountId | None, *, at: datetime) -> Write:
    """The write of a return that waited and is refused for good, under the key that it would have had."""
    item = {
        "no": refusal.code,
        "facts": {name: fact for name, fact in refusal.facts.items() if fact is not None},
        "member_id": member_id,
        "ra": milliseconds(at),
        "d": waiting.content,
        "wr": _waiting_item(waiting),
    }
    return Put(key, item, Absent(), lambda _: OrderMoved())


def is_refused(item: Item) -> bool:
    """Whether what is under a return's key was refused."""
    return "no" in item


def refusal_from(item: Item) -> Refusal:
    """What a return was refused for."""
    return RECORDED[item["no"]](**item["facts"])


def refused_from(item: Item) -> tuple[Waiting, datetime]:
    """The return that was refused, and when."""
    return _waiting_from(item["wr"]), from_milliseconds(item["ra"])


def _waiting_item(waiting: Waiting) -> list[Any]:
    command = waiting.command.model_dump_json(exclude_defaults=True)
    own = [waiting.key, waiting.content, milliseconds(waiting.received_at), command]
    return own if waiting.shop_ids is None else [*own, list(waiting.shop_ids)]


def _waiting_from(stored: Sequence[Any]) -> Waiting:
    key, content, received, command, *shops = stored
    return Waiting(
        key=key,
        content=content,
        command=ReturnPurchase.model_validate_json(command),
        received_at=from_milliseconds(received),
        shop_ids=tuple(ShopId(each) for each in shops[0]) if shops else None,
    )


# ---------------------------------------------------------------- lines


def packed_lines(lines: Sequence[PurchaseLine]) -> bytes:
    """Lines as few bytes."""
    words = _deflated([[line.name or "" for line in lines], [line.category or "" for line in lines]])
    figures = b"".join(_price_and_quantity(line) for line in lines)
    return bytes([_FORM]) + _number(len(lines)) + _number(len(words)) + words + _skus(lines) + figures


class LineFigures(NamedTuple):
    """What a line says, as it was packed."""

    sku: str
    name: str
    category: str
    quantity: int
    unit_price_minor: int


def unpacked_lines(packed: bytes) -> tuple[PurchaseLine, ...]:
    """The lines that `packed_lines` was given.

    Raises:
        ValueError: the bytes are of a form that this version does not know.
    """
    return tuple(
        PurchaseLine.model_construct(  # not validated: what was recorded under older rules stays readable
            sku=line.sku,
            name=line.name or None,
            category=line.category or None,
            quantity=line.quantity,
            unit_price_minor=line.unit_price_minor,
        )
        for line in line_figures(packed)
    )


def line_figures(packed: bytes) -> list[LineFigures]:
    """The lines that `packed_lines` was given, as plain figures: who reads very many needs no more.

    Raises:
        ValueError: the bytes are of a form that this version does not know.
    """
    if packed[0] != _FORM:
        raise ValueError(f"lines of an unknown form, {packed[0]}")
    reader = _Reader(packed, 1)
    count = reader.number()
    names, categories = _inflated(reader.bytes(reader.number()))
    skus = _read_skus(reader, count)
    lines = []
    for sku, name, category in zip(skus, names, categories, strict=True):
        price, several = divmod(reader.number(), 2)
        lines.append(LineFigures(sku, name, category, reader.number() if several else 1, price))
    return lines


def article_check_digit(digits: str) -> str:
    """The check digit of a retail article number (GTIN-13; GS1 General Specifications, 7.9)."""
    return str(-(sum(map(int, digits[::2])) + 3 * sum(map(int, digits[1::2]))) % 10)


def _skus(lines: Sequence[PurchaseLine]) -> bytes:
    skus = [line.sku for line in lines]
    if all(_is_article(sku) for sku in skus):
        return bytes([_ARTICLES]) + b"".join(int(sku[:12]).to_bytes(5, "big") for sku in skus)
    text = _deflated([skus])
    return bytes([_TEXT]) + _number(len(text)) + text


def _read_skus(reader: "_Reader", count: int) -> list[str]:
    if reader.number() == _TEXT:
        return _inflated(reader.bytes(reader.number()))[0]
    packed = reader.bytes(5 * count)
    return [_article(packed[at : at + 5]) for at in range(0, 5 * count, 5)]


@lru_cache(maxsize=16_384)
def _article(packed: bytes) -> str:
    """An article number, remembered: a shop sells the same ones all day."""
    digits = f"{int.from_bytes(packed, 'big'):012d}"
    return digits + article_check_digit(digits)


def _is_article(sku: str) -> bool:
    return len(sku) == 13 and sku.isascii() and sku.isdecimal() and article_check_digit(sku[:12]) == sku[12]


def _price_and_quantity(line: PurchaseLine) -> bytes:
    several = line.quantity != 1
    return _number(line.unit_price_minor * 2 + several) + (_number(line.quantity) if several else b"")


def _number(value: int) -> bytes:
    """A whole number in seven bits a byte, lowest first; the eighth bit says that more follow (LEB128)."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _deflated(columns: Sequence[Sequence[str]]) -> bytes:
    text = "\n".join("\t".join(column) for column in columns)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
    return deflate.compress(text.encode("gb18030")) + deflate.flush()


def _inflated(packed: bytes) -> list[list[str]]:
    text = zlib.decompress(packed, -zlib.MAX_WBITS).decode("gb18030")
    return [column.split("\t") for column in text.split("\n")]


class _Reader:
    """Reads what was written, from left to right."""

    def __init__(self, packed: bytes, at: int) -> None:
        self._packed = packed
        self._at = at

    def bytes(self, length: int) -> bytes:
        """So many bytes."""
        part = self._packed[self._at : self._at + length]
        self._at += length
        return part

    def number(self) -> int:
        """A number that `_number` wrote."""
        packed, at = self._packed, self._at
        value, shift = packed[at] & 0x7F, 7
        while packed[at] > 0x7F:
            at += 1
            value |= (packed[at] & 0x7F) << shift
            shift += 7
        self._at = at + 1
        return value
