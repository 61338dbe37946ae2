"""How purchases are stored: as their ledger entry, with the sale beside it."""

import zlib
from typing import Any

from chalicelib.kernel.ids import ShopId
from chalicelib.purchases.models import PurchaseLine, Sale
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Rows, Table
from chalicelib.storage.writes import Item

_FORM = 1


def find_purchase(table: Table, key: Key, *, consistent: bool = False) -> Item | None:
    """The purchase under a key, or None."""
    return table.get(key, consistent=consistent)


def list_rows(table: Table, member_id: str, *, after: str | None, limit: int) -> Rows:
    """Rows of a member's statement, purchases among them, newest first."""
    return table.query_timeline(keys.statement(member_id), after=after, limit=limit)


def is_purchase(row: Item) -> bool:
    """Whether a row of the statement is a purchase."""
    return str(row["pk"]).startswith("O#")


def find_purchases(table: Table, rows: list[Item]) -> list[Item]:
    """The purchases of statement rows in full, in their order."""
    wanted = [Key(row["pk"], row["sk"]) for row in rows]
    found = table.get_many(wanted)
    return [found[key] for key in wanted if key in found]


def sale_item(sale: Sale) -> dict[str, Any]:
    """The attributes that a sale adds to its entry."""
    return {
        "shop": sale.shop_id,
        "currency": sale.currency,
        "paid": sale.paid_minor,
        "tender": sale.tender_minor or None,
        "lines": packed_lines(sale.lines) if sale.lines else None,
    }


def sale_from(item: Item) -> Sale:
    """The sale that an item holds."""
    return Sale(
        shop_id=ShopId(item["shop"]) if "shop" in item else None,
        currency=item["currency"],
        paid_minor=item["paid"],
        tender_minor=item.get("tender", 0),
        lines=unpacked_lines(item["lines"]) if "lines" in item else (),
    )


def packed_lines(lines: tuple[PurchaseLine, ...]) -> bytes:
    """Lines as few bytes, so that a basket of 40 fits one write unit with its entry.

    Column after column, words apart from figures (each compresses best among its like), in GB 18030, which spells a
    Chinese character in two bytes where UTF-8 takes three. Byte 0 names the form; bytes 1 and 2 say how long the
    words are.
    """
    words = _columns([[line.name or "" for line in lines], [line.category or "" for line in lines]])
    figures = _columns(
        [
            [line.sku for line in lines],
            [str(line.quantity) for line in lines],
            [str(line.unit_price_minor) for line in lines],
        ]
    )
    return bytes([_FORM]) + len(words).to_bytes(3, "big") + words + figures


def unpacked_lines(packed: bytes) -> tuple[PurchaseLine, ...]:
    """The lines that `packed_lines` was given."""
    if packed[0] != _FORM:
        raise ValueError(f"lines of an unknown form, {packed[0]}")
    end = 4 + int.from_bytes(packed[1:4], "big")
    names, categories = _lists(packed[4:end])
    skus, quantities, prices = _lists(packed[end:])
    return tuple(
        PurchaseLine(
            sku=sku,
            name=name or None,
            category=category or None,
            quantity=int(quantity),
            unit_price_minor=int(price),
        )
        for sku, name, category, quantity, price in zip(skus, names, categories, quantities, prices, strict=True)
    )


def _columns(columns: list[list[str]]) -> bytes:
    text = "\n".join("\t".join(column) for column in columns)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
    return deflate.compress(text.encode("gb18030")) + deflate.flush()


def _lists(packed: bytes) -> list[list[str]]:
    text = zlib.decompress(packed, -zlib.MAX_WBITS).decode("gb18030")
    return [column.split("\t") for column in text.split("\n")]
