"""Patches and bases: what is new is merged over the base within a minute, and becomes a base at night.

Files are written first, under names that no other attempt has; then the head is moved, if nobody was faster. So a crash
at any file, and two at once, leave files that nobody names, which are swept when they are old.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING

from chalicelib.kernel.calendar import from_milliseconds, local_day
from chalicelib.kernel.errors import StorageBusy
from chalicelib.lake import duck, folding, merging, rules, store, views
from chalicelib.lake.models import Head, Merged
from chalicelib.lake.store import HeadMoved
from chalicelib.lake.tables import FACT_TABLES, FORM, TABLES
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.objects import Files
from chalicelib.storage.places import Place
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Lake:
    """What patches and bases are made with.

    Attributes:
        place: the very files of `objects`, as the engine names them.
        draw: chance, for names of attempts.
    """

    ops: Table
    objects: Files
    place: Place
    draw: Callable[[], int]


def today_of(book: ProgramBook, now: datetime) -> date:
    """The program's day, by which the lake's views are asked."""
    return local_day(now, book.current(now).time_zone)


def patch(lake: Lake, *, today: date, now: datetime) -> Merged:
    """Merge what is new in the log over the base. Nothing happens when nothing is new.

    When another was faster it is made again: the other may have looked before the newest file was there, and nobody
    asks for that one any more.

    Raises:
        StorageBusy: files or head could not be reached, or others were faster again and again; do it again.
    """
    for _ in range(_TURNS_MAX):
        done = _tried(lake, today=today, now=now)
        if done is not None:
            return done
    raise StorageBusy("Other patches of the lake were faster. Try again later.")


def _tried(lake: Lake, *, today: date, now: datetime) -> Merged | None:
    """Make a patch; None where another was faster."""
    head = store.find_head(lake.ops)
    read = store.find_read(lake.objects, head.read if head else None)
    since = (min(now, head.built_at) if head else now) - rules.LATE
    new = [key for key in _log(lake, head, since, now) if key not in read]
    if not new:
        return Merged(head or Head(built_at=now), 0, moved=False)
    name = rules.attempt(now, lake.draw())
    with duck.connected(lake.place) as con:
        after = _patched(con, lake, head or Head(built_at=now), name, new, today=today, now=now)
    store.keep_read(lake.objects, name, read.union(new))
    after = after.model_copy(update={"read": name, "version": head.version + 1 if head else 1})
    if not _moved(lake, head, after):
        _forget(lake, name)
        return None
    sweep(lake, after, now=now)
    return Merged(after, len(new))


def _patched(
    con: "DuckDBPyConnection", lake: Lake, before: Head, name: str, new: Sequence[str], *, today: date, now: datetime
) -> Head:
    """Write a patch that has some more of the log, and say what the head would be."""
    duck.show(con, lake.place, before)
    through = merging.take_in(con, [f"{lake.place.root}/{key}" for key in new])
    next_m = merging.merge(con, next_m=before.next_m, today=today, now=now)
    folder = duck.folder(lake.place, f"{rules.PATCH}/{name}")
    merging.write_patch(con, folder)
    people, buyers, moved, gone = merging.counted(con)
    newest = [from_milliseconds(through)] if through is not None else []
    known = [*newest, *([before.through] if before.through else [])]
    return before.model_copy(
        update={
            "patch": name,
            "next_m": next_m,
            "patched": people,
            "patched_buyers": buyers,
            "moved": moved,
            "gone": gone,
            "built_at": now,
            "through": max(known, default=None),
        }
    )


def rebase(lake: Lake, *, today: date, now: datetime) -> Merged:
    """Merge all that is in the log, and write everything anew as a base, with the edges of the fifths.

    Patches go on meanwhile. So when the base is written, what came since is made a patch over it, and the head is moved
    from wherever it is by then.

    Raises:
        StorageBusy: files or head could not be reached, or patches were faster again and again; do it again.
    """
    head = store.find_head(lake.ops)
    name = rules.attempt(now, lake.draw())
    with duck.connected(lake.place) as con:
        read = store.find_read(lake.objects, head.read if head else None)
        listed = _log(lake, head, None, now)
        new = [key for key in listed if key not in read]
        over = _patched(con, lake, head or Head(built_at=now), name, new, today=today, now=now)
        based = _based(con, lake, over, name, today=today, now=now)
        done = _kept(listed, now)
        for turn in range(_TURNS_MAX):
            head = store.find_head(lake.ops)
            after = _caught_up(con, lake, based, f"{name}{turn:02d}", listed, today=today, now=now)
            store.keep_read(lake.objects, f"{name}{turn:02d}", done.union(after[1]))
            moved = after[0].model_copy(
                update={"read": f"{name}{turn:02d}", "version": head.version + 1 if head else 1}
            )
            if _moved(lake, head, moved):
                break
        else:
            raise StorageBusy("Patches of the lake were faster. Try again later.")
    _list_files(lake, moved)
    lake.objects.delete([key for key in listed if key not in done and key.startswith(f"{rules.LOG}/")])
    sweep(lake, moved, now=now)
    return Merged(moved, len(new))


def _list_files(lake: Lake, head: Head) -> None:
    """Write down the files of a base for who reads it by other means."""
    for table in TABLES:
        paths = views.files(lake.place.root, f"{rules.BASE}/{head.base}", table, head.slices)
        lake.objects.put(f"{rules.LISTS}/{table}/files.txt", "\n".join([*paths, ""]).encode(), kind="text/plain")


def _caught_up(
    con: "DuckDBPyConnection", lake: Lake, based: Head, name: str, listed: Sequence[str], *, today: date, now: datetime
) -> tuple[Head, list[str]]:
    """A base with a patch of what came to the log since it was begun, and which files that is."""
    known = frozenset(listed)
    new = [key for key in _log(lake, based, now - rules.LATE, now) if key not in known]
    return (_patched(con, lake, based, name, new, today=today, now=now) if new else based), new


def _based(con: "DuckDBPyConnection", lake: Lake, over: Head, name: str, *, today: date, now: datetime) -> Head:
    """Write a base of a base and the patch over it, a slice at a time; the head that names it, without a patch."""
    duck.show(con, lake.place, over)
    slices = max(1, -(-over.next_m // rules.SLICE))
    folders = {table: duck.folder(lake.place, f"{rules.BASE}/{name}/{table}") for table in TABLES}
    for number in range(slices):
        merging.write_slice(con, folders, number, today=today, now=now)
    edges, buyers = merging.edges_of(con)
    return Head(
        base=name,
        slices=slices,
        next_m=over.next_m,
        members=over.next_m,
        form=FORM,
        buyers=buyers,
        edges=edges,
        base_at=now,
        built_at=now,
        through=over.through,
    )


def _log(lake: Lake, head: Head | None, since: datetime | None, now: datetime) -> list[str]:
    """Files of the log and of what was told: those of the hours since, or all of the log and two days of what was told.

    Before there is a head, all of both.
    """
    after = since if head is not None else None
    facts = (since or now - rules.LOG_KEPT) if head is not None else None
    return [
        *store.list_log(lake.objects, rules.LOG, after=after),
        *store.list_log(lake.objects, rules.FACTS, after=facts),
    ]


def _kept(listed: Sequence[str], now: datetime) -> frozenset[str]:
    """Of the files of the log, those of the last two days: what is older is in the base, and goes."""
    oldest = now - rules.LOG_KEPT
    limits = (rules.folder(rules.LOG, oldest), rules.folder(rules.FACTS, oldest))
    return frozenset(key for key in listed if key >= limits[key.startswith(f"{rules.FACTS}/")])


def _moved(lake: Lake, before: Head | None, after: Head) -> bool:
    with suppress(HeadMoved):
        lake.ops.commit([store.move_head(before, after)])
        return True
    return False


def _forget(lake: Lake, name: str) -> None:
    """Remove what an attempt wrote that another was faster than."""
    for kind in rules.MADE:
        lake.objects.delete(lake.objects.list(f"{kind}/{name}", after=None, limit=_MANY))


VIEWS = ("members", "contacts", "purchases", "lines", "entries", *FACT_TABLES.values())


def counts(place: Place, head: Head | None, *, today: date, now: datetime) -> dict[str, int]:
    """How many rows each view shows."""
    found = {}
    with duck.opened(place, head, today=today, now=now) as con:
        for view in VIEWS:
            row = con.execute(f"SELECT count(*) FROM {view}").fetchone()
            found[view] = int(row[0]) if row else 0
    return found


def sweep(lake: Lake, head: Head, *, now: datetime) -> int:
    """Remove patches and bases that the head does not name, once nobody can be reading them; how many files."""
    old: list[str] = []
    for kind, named in ((rules.PATCH, head.patch), (rules.BASE, head.base), (rules.READ, head.read)):
        for key in lake.objects.list(f"{kind}/", after=None, limit=_MANY):
            name = key.removeprefix(f"{kind}/").partition("/")[0].partition(".")[0]
            if name != named and rules.attempted_at(name) < now - rules.OLD_KEPT:
                old.append(key)
    lake.objects.delete(old)
    return len(old)


def rebuild(lake: Lake, items: Iterable[Item], *, today: date, now: datetime, since: datetime | None = None) -> Merged:
    """Forget the lake, and make it anew from the items of table `core` and from what was told to it.

    Args:
        items: all of them, in any order, read from now on; those that the lake has nothing of are passed over.
        since: the instant that the items show, where it lies back: what came to the log since then counts.

    Raises:
        StorageBusy: files or head could not be reached; do it again.
    """
    drop(lake, now=now, since=since)
    lines = _lines(items)
    while some := list(islice(lines, _LINES_A_FILE)):
        store.keep_batch(lake.objects, some, now=now)
    return rebase(lake, today=today, now=now)


def _lines(items: Iterable[Item]) -> Iterator[bytes]:
    for item in items:
        if folding.is_wanted(item["pk"], item["sk"], item):
            yield from map(store.line_of, folding.rows_of_item(item))


def drop(lake: Lake, *, now: datetime, since: datetime | None = None) -> None:
    """Forget what the lake has of table `core`: bases, patches, log. What was told to it stays, to be read anew.

    From then on until there is a base again nobody is answered: less than all would be taken for all.

    Args:
        since: files of the log from the hour before this one on stay as well.
    """
    head = store.find_head(lake.ops)
    gone = Head(built_at=now, version=head.version + 1 if head is not None else 1, unfinished=True)
    lake.ops.commit([store.move_head(head, gone)])
    kept = rules.folder(rules.LOG, since - rules.LATE) if since is not None else None
    old = [key for key in store.list_log(lake.objects, rules.LOG, after=None) if kept is None or key < kept]
    lake.objects.delete(old)
    for kind in rules.MADE:
        lake.objects.delete(lake.objects.list(f"{kind}/", after=None, limit=_MANY))


_TURNS_MAX = 10
_LINES_A_FILE = 50_000
_MANY = 100_000
