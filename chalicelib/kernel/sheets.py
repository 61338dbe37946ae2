"""Rows as CSV for spreadsheets (RFC 4180): numbers stay numbers, and no text is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

BYTE_ORDER_MARK = "\ufeff"
"""Stands first: without it, Excel reads UTF-8 in the code page of its country, GBK in China."""

_FORMULA = tuple("=+-@\t\r＝＋－＠")
"""What a cell that spreadsheets work out begins with; full-width forms are taken for plain ones."""


def csv_text(rows: Iterable[Sequence[str | int | None]]) -> str:
    """Rows as CSV, with a byte order mark."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return BYTE_ORDER_MARK + text.getvalue()


def _cell(value: str | int | None) -> str | int:
    if value is None:
        return ""
    if isinstance(value, int):
        return int(value)
    return "'" + value if value.lstrip(" \u3000\u00a0\ufeff").startswith(_FORMULA) else value
