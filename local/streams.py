"""Upkeep of dynoxide's stream table, which dynoxide itself neither indexes nor trims.

It looks up `MAX(CAST(sequence_number AS INTEGER))` per table on every write; without an index on that
expression each write costs more as history grows (718 -> 84 writes/s measured; with it ~2,000/s, flat).
The newest record of each table has to stay, because the next sequence number is counted from it.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

KEPT_SECONDS = 24 * 60 * 60
"""DynamoDB keeps stream records for a day."""

_BATCH = 2_000
"""Rows looked at per transaction: dynoxide's writers wait for it, so it stays in milliseconds."""

_INDEX = """
CREATE INDEX IF NOT EXISTS _regulars_stream_sequence
    ON _stream_records (table_name, CAST(sequence_number AS INTEGER))
"""

_TRIM = """
DELETE FROM _stream_records WHERE id IN (
    SELECT id FROM (SELECT * FROM _stream_records ORDER BY id LIMIT ?) AS oldest
    WHERE created_at < ? AND EXISTS (
        SELECT 1 FROM _stream_records AS newer
        WHERE newer.table_name = oldest.table_name
          AND CAST(newer.sequence_number AS INTEGER) > CAST(oldest.sequence_number AS INTEGER)))
"""


def add_index(database: Path) -> None:
    """Give the stream table its index; safe while the server runs, and when it is there already."""
    with closing(_open(database)) as connection, connection:
        connection.execute(_INDEX)


def trim(database: Path, *, now: float | None = None) -> int:
    """Remove some of the records that are older than a day, and say how many.

    Looks at a few thousand rows a call; call again while the answer is not 0. Safe while the server runs.
    """
    cutoff = int((time.time() if now is None else now) - KEPT_SECONDS)
    with closing(_open(database)) as connection, connection:
        return connection.execute(_TRIM, (_BATCH, cutoff)).rowcount


def _open(database: Path) -> sqlite3.Connection:
    """A connection that waits its turn for up to ten seconds."""
    return sqlite3.connect(database, timeout=10)
