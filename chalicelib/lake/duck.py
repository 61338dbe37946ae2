"""The engine that reads and writes the lake's files: DuckDB, which only this module imports, and only when used."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.lake import views
from chalicelib.lake.errors import LakeMissing
from chalicelib.lake.models import Edges, Head
from chalicelib.storage.places import Bucket, Place

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextmanager
def opened(place: Place, head: Head | None, *, today: date, now: datetime) -> "Iterator[DuckDBPyConnection]":
    """The lake as views, for questions; it can read the lake's files and nothing else.

    Views: members, contacts, purchases, lines, entries, deliveries, receipts, assignments. Variables: the edges of the
    scores, `recency`, `frequency` and `monetary`.

    Args:
        head: None for a lake that has nothing yet: its views are empty.
        today: the program's day, and
        now: the instant, by which the views say what time alone changes: points, ages, stages.

    Raises:
        LakeMissing: files of it are gone, or it is being made anew.
    """
    if head is not None and head.unfinished:
        raise LakeMissing
    with connected(place) as con:
        _show_all(con, place, head or Head(built_at=now))
        settled = _set_apart(con, today)
        for name, select in views.asked(head or Head(built_at=now), today, now, settled=settled):
            con.execute(f"CREATE TEMP VIEW {name} AS {select}")
        for name, edges in views.scores(head.edges if head is not None else Edges()):
            con.execute(f"SET VARIABLE {name} = {edges}")
        con.execute("SET enable_external_access = false")
        con.execute("SET lock_configuration = true")
        yield con


def _show_all(con: "DuckDBPyConnection", place: Place, head: Head) -> None:
    """See `show`; and say what is wrong when files are gone."""
    import duckdb  # noqa: PLC0415 - see `connected`

    try:
        show(con, place, head)
    except duckdb.HTTPException as fault:
        if getattr(fault, "status_code", None) != _NOT_FOUND:
            raise
        raise LakeMissing from None
    except duckdb.IOException:
        raise LakeMissing from None


_NOT_FOUND = 404

_RESTLESS_MAX = 5_000
"""So many are kept in memory, a few megabytes. Between midnight and the next base there can be more."""


def _set_apart(con: "DuckDBPyConnection", today: date) -> bool:
    """Make tables `restless` and `apart`, see `views.members`; False where there are too many."""
    con.execute(f"CREATE TEMP TABLE restless AS {views.restless(today)} LIMIT {_RESTLESS_MAX + 1}")
    (found,) = con.execute("SELECT count(*) FROM restless").fetchone() or (0,)
    con.execute("CREATE TEMP TABLE apart AS SELECT m FROM patched UNION ALL SELECT m FROM restless")
    return int(found) <= _RESTLESS_MAX


def show(con: "DuckDBPyConnection", place: Place, head: Head) -> None:
    """The files that a head names as views, and who is hidden in the base, in tables of memory."""
    for name, select in views.stored(place.root, head):
        con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {select}")
    con.execute("CREATE OR REPLACE TEMP TABLE patched AS SELECT m FROM patch_people")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE moved AS SELECT m AS own, root FROM patch_people "
        "WHERE was IS NOT NULL AND was <> root"
    )
    con.execute("CREATE OR REPLACE TEMP TABLE gone AS SELECT m AS own FROM patch_people WHERE gone")


def folder(place: Place, key: str) -> str:
    """A folder that files are about to be written to, as the engine names it."""
    path = f"{place.root}/{key}"
    if place.bucket is None:
        Path(path).mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def connected(place: Place) -> "Iterator[DuckDBPyConnection]":
    """A connection that reaches a place and nothing else, and uses no more memory than the place says.

    What does not fit goes to the place's scratch folder. Nothing is fetched: the engine's extension comes as a wheel.
    """
    import duckdb  # noqa: PLC0415 - 60 MB that few functions need

    scratch = Path(place.scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    allowed = [f"{place.root}/", f"{scratch}/"]
    config: dict[str, Any] = {
        "memory_limit": f"{place.memory_mb}MB",
        "threads": place.threads,
        "temp_directory": str(scratch),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": False,
    }
    con = duckdb.connect(config=config)
    try:
        if place.bucket is not None:
            _reach(con, place.bucket)  # first: before it is loaded, `s3://` is taken for a folder of that name
        con.execute("SET enable_progress_bar = false")  # it would be drawn into a function's log
        listed = ", ".join(f"'{_quoted(each)}'" for each in allowed)
        con.execute(f"SET allowed_directories = [{listed}]")
        yield con
    finally:
        con.close()


def _reach(con: "DuckDBPyConnection", bucket: Bucket) -> None:
    """Load what reads S3, and tell it who asks."""
    import duckdb_extension_httpfs  # noqa: PLC0415 - see `connected`

    (extension,) = Path(str(duckdb_extension_httpfs.__file__)).parent.glob("extensions/*/httpfs.duckdb_extension")
    con.execute(f"LOAD '{extension}'")
    known = bucket.credentials()
    said = {
        "KEY_ID": known.access_key,
        "SECRET": known.secret_key,
        "SESSION_TOKEN": known.session_token,
        "REGION": bucket.region,
        "ENDPOINT": bucket.endpoint,
        "URL_STYLE": "path" if bucket.endpoint else None,
    }
    given = {name: value for name, value in said.items() if value}
    quoted = ", ".join(f"{name} '{_quoted(value)}'" for name, value in given.items())
    con.execute(f"CREATE SECRET (TYPE s3, {quoted}, USE_SSL {str(bucket.tls).lower()})")


def _quoted(value: str) -> str:
    return value.replace("'", "''")
