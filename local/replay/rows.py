"""The file of purchases: read row by row, checked, and turned into what a till would send.

Columns: `customer_id,purchased_on,cds,amount_usd`. Rows of one customer stand together, oldest first, so that one pass
with almost no memory knows each purchase's position on its day, which makes its order number.
"""

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

HEADER = "customer_id,purchased_on,cds,amount_usd"
TIME_ZONE = ZoneInfo("America/New_York")
BAD_ROWS_SHOWN = 20

_ROW = re.compile(r"([A-Za-z0-9_.-]{1,32}),(\d{4}-\d{2}-\d{2}),(\d{1,6}),(\d{1,9})\.(\d{2})")


@dataclass(frozen=True, slots=True)
class Row:
    """A purchase of the file."""

    line: int
    customer: str
    bought_on: date
    quantity: int
    cents: int
    position: int
    """1 for the customer's first purchase of that day, 2 for the second …"""

    @property
    def order_no(self) -> str:
        """From customer, date and position; the date is the file's, so that it stays when dates are shifted."""
        return f"{self.customer}-{self.bought_on:%Y%m%d}-{self.position}"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be a purchase."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a whole file comes to."""

    rows: int
    customers: int
    cents: int
    last_on: date
    digest: str
    """SHA-256 of its bytes: names the file wherever it is moved."""


def examine(path: Path) -> tuple[Contents | None, list[BadRow]]:
    """Read a file once: what it comes to, or which of its rows are bad (all of them are looked at)."""
    digest = hashlib.sha256()
    bad: list[BadRow] = []
    rows = cents = 0
    last_on = date.min
    before: Row | None = None
    customers: set[int] = set()  # as hashes of 64 bits: 23,570 customers are 2 MB
    with path.open("rb") as file:
        header = file.readline()
        digest.update(header)
        if header.decode("utf-8-sig", "replace").strip() != HEADER:
            return None, [BadRow(1, f"the header has to be {HEADER}")]
        for line, raw in enumerate(file, start=2):
            digest.update(raw)
            row = _row(line, raw, before)
            if isinstance(row, Row) and (before is None or before.customer != row.customer):
                mark = hash(row.customer)
                row = BadRow(line, f"customer {row.customer} stood further up already") if mark in customers else row
                customers.add(mark)
            if isinstance(row, BadRow):
                bad.append(row)
                continue
            rows, cents, last_on, before = rows + 1, cents + row.cents, max(last_on, row.bought_on), row
    if not rows and not bad:
        bad.append(BadRow(2, "there is no purchase"))
    contents = Contents(rows, len(customers), cents, last_on, digest.hexdigest())
    return (None if bad else contents), bad


def read(path: Path, *, share: int = 0, of: int = 1) -> Iterator[Row]:
    """Rows of a file that `examine` found good, in order; of several readers, each gets whole customers."""
    before: Row | None = None
    with path.open("rb") as file:
        file.readline()
        for line, raw in enumerate(file, start=2):
            if of > 1 and zlib.crc32(raw[: raw.index(b",")]) % of != share:
                continue
            row = _row(line, raw, before)
            assert isinstance(row, Row), f"the file changed: line {line}"
            before = row
            yield row


def customers(path: Path, *, share: int = 0, of: int = 1) -> Iterator[tuple[str, list[Row]]]:
    """Customers with their purchases, oldest first."""
    for customer, rows in groupby(read(path, share=share, of=of), key=lambda row: row.customer):
        yield customer, list(rows)


def occurred_at(row: Row, shift_days: int) -> datetime:
    """When a purchase happened: at noon in New York, the second of a day a minute later, and so on."""
    day = row.bought_on + timedelta(days=shift_days)
    return datetime.combine(day, time(12), TIME_ZONE) + timedelta(minutes=row.position - 1)


def lines(row: Row) -> list[dict[str, str | int]]:
    """The basket. Where the amount cannot be divided by the quantity, one disc bears the difference."""
    unit, rest = divmod(row.cents, row.quantity)
    parts = [(row.quantity, unit)] if rest == 0 else [(row.quantity - 1, unit), (1, unit + rest)]
    return [
        {"sku": "CD", "name": "CD", "category": "Music", "quantity": quantity, "unit_price_minor": price}
        for quantity, price in parts
        if quantity
    ]


def _row(line: int, raw: bytes, before: Row | None) -> Row | BadRow:
    """A line as a purchase; amounts are put together from digits, never from floats."""
    text = raw.decode("utf-8", "replace").rstrip("\r\n")
    match = _ROW.fullmatch(text)
    if match is None:
        return BadRow(line, f"{text[:60]!r} is not customer, YYYY-MM-DD, quantity, dollars.cents")
    customer, day, quantity, whole, hundredths = match.groups()
    try:
        bought_on = date.fromisoformat(day)
    except ValueError:
        return BadRow(line, f"there is no day {day}")
    if int(quantity) == 0:
        return BadRow(line, "the quantity is 0")
    position = 1
    if before is not None and before.customer == customer:
        if bought_on < before.bought_on:
            return BadRow(line, f"customer {customer}'s purchases are not in order of date")
        position += before.position if bought_on == before.bought_on else 0
    return Row(line, customer, bought_on, int(quantity), int(whole) * 100 + int(hundredths), position)
