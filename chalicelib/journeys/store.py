"""How journeys are stored.

In `core`: `JRN#<journey>` / `HEAD` what a journey does just now, `V#<version>` what a version says, written once;
`JRNS` / `BOARD` what those who take events have to know of all of them; `JIN#<member>` / `I#<journey>#<entry>` a
member's way through a journey, `G#<journey>` when they came in last; `JIC#<journey>` counters, which move in the same
transaction as whoever is counted.

A way stands in the due index under the five minutes in which there is something to do, so that where somebody is and
when they go on are one write; and in the timeline index among those inside, or those who have left.

In `ops`: `JEV#<member>` what happened to a member that some journey asks for; `JLS#<journey>` / `K#<key>` how far a
segment was let in; through which minute all were handed on.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chalicelib.journeys.errors import (
    AskedKnown,
    HeadMoved,
    InstanceKnown,
    InstanceMoved,
    ListingMoved,
    TickMissed,
)
from chalicelib.journeys.models import (
    Answers,
    Board,
    Edition,
    Gate,
    Head,
    Instance,
    JourneyState,
    Left,
    Passed,
    Place,
    Ref,
    Told,
)
from chalicelib.journeys.rules.moving import Amounts
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import AccountId, JourneyId, MemberId, SegmentId
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Add, Anyway, Item, Put, Unchanged, Write

NOTES_KEPT = timedelta(days=800)
"""As long as the longest journey of any use lasts."""

PAGE = 200
_LAST = "~"


# ---------------------------------------------------------------- journeys


def find_head(table: Table, journey_id: JourneyId) -> Head | None:
    """What there is of a journey, as it is now, or None."""
    item = table.get(keys.journey(journey_id), consistent=True)
    return head_from(item) if item is not None else None


def find_heads(table: Table, journey_ids: Sequence[JourneyId]) -> dict[JourneyId, Head]:
    """Journeys as they are now; those that are not there are left out."""
    found = table.get_many([keys.journey(each) for each in journey_ids], consistent=True)
    return {head.journey_id: head for head in map(head_from, found.values())}


def list_heads(table: Table, *, after: str | None, limit: int) -> tuple[list[Head], str | None]:
    """Journeys, the newest first, and where the next ones start."""
    rows = table.query_timeline(keys.JOURNEYS, after=after, limit=limit)
    wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
    found = table.get_many(wanted, consistent=True)
    return [head_from(found[key]) for key in wanted if key in found], rows.last


def find_edition(table: Table, journey_id: JourneyId, edition: int) -> Edition | None:
    """A version of a journey, or None. It never changes once it has been at work."""
    item = table.get(keys.journey_edition(journey_id, edition), consistent=True)
    return Edition.model_validate_json(item["edition"]) if item is not None else None


def put_head(head: Head) -> Write:
    """The write of a journey: new, or the one after what was read."""
    condition = Unchanged(head.version - 1) if head.version > 1 else Absent()
    item: Item = {
        "tl": keys.JOURNEYS,
        "at": keys.listed_moment(head.made_at, head.journey_id),
        "name": head.name,
        "state": head.state.value,
        "edition": head.edition,
        "made": milliseconds(head.made_at),
        "by": head.made_by,
        "edited": milliseconds(head.edited_at),
        "activated": milliseconds(head.activated_at) if head.activated_at else None,
        "moved": milliseconds(head.moved_at),
        "content": head.content,
        "answers": _answers(head.answers),
        "uses": list(head.uses) or None,
        "cleared": head.cleared,
        "segment": head.segment_id,
        "version": head.version,
    }
    return Put(keys.journey(head.journey_id), item, condition, lambda _: HeadMoved())


def head_from(item: Item) -> Head:
    """The journey that an item holds."""
    return Head.model_validate(
        {
            "journey_id": keys.parted(item["pk"])[1],
            "name": item["name"],
            "state": JourneyState(item["state"]),
            "edition": item["edition"],
            "made_at": from_milliseconds(item["made"]),
            "made_by": item["by"],
            "edited_at": from_milliseconds(item["edited"]),
            "activated_at": from_milliseconds(item["activated"]) if "activated" in item else None,
            "moved_at": from_milliseconds(item["moved"]),
            "content": item["content"],
            "answers": _answers_from(item),
            "uses": tuple(item.get("uses", ())),
            "cleared": item.get("cleared"),
            "segment_id": item.get("segment"),
            "version": item["version"],
        }
    )


def _answers(each: Answers | None) -> list[str] | None:
    return [each.by, each.own or ""] if each is not None else None


def _answers_from(item: Item) -> Answers | None:
    if "answers" not in item:
        return None
    by, own = item["answers"]
    return Answers(by=by, own=AccountId(own) if own else None)


def add_edition(edition: Edition) -> Write:
    """The write of a version of a journey."""
    # With each null: what was taken away, as quiet hours, must not come back as what is there when nothing is said.
    item: Item = {"edition": edition.model_dump_json()}
    return Put(keys.journey_edition(edition.journey_id, edition.edition), item, Absent(), lambda _: HeadMoved())


def pin_edition(edition: Edition) -> Write:
    """The write of a version that goes to work, beside that of its journey, which tells whether it was changed."""
    item: Item = {"edition": edition.model_dump_json()}
    return Put(keys.journey_edition(edition.journey_id, edition.edition), item, Anyway(), lambda _: HeadMoved())


# ---------------------------------------------------------------- the board


def find_board(table: Table) -> Board:
    """Which journeys do something just now."""
    item = table.get(keys.JOURNEY_BOARD, consistent=True)
    if item is None:
        return Board({})
    places = {JourneyId(name): _place(JourneyId(name), row) for name, row in item["places"].items()}
    return Board(places, from_milliseconds(item["began"]) if "began" in item else None, item["version"])


def put_board(before: Board, after: Board) -> Write:
    """The write of the board after the one that was read."""
    places = {
        name: {
            "state": each.state.value,
            "edition": each.edition,
            "entry": each.entry,
            "needs": sorted(each.needs),
            "goals": sorted(each.goals),
            **({"segment": each.segment_id} if each.segment_id is not None else {}),
            **({"held": each.held} if each.held is not None else {}),
            **({"ending": True} if each.ending else {}),
        }
        for name, each in after.places.items()
    }
    item: Item = {
        "places": places,
        "began": milliseconds(after.began_at) if after.began_at else None,
        "version": before.version + 1,
    }
    condition = Unchanged(before.version) if before.version else Absent()
    return Put(keys.JOURNEY_BOARD, item, condition, lambda _: HeadMoved())


def _place(name: JourneyId, row: dict[str, Any]) -> Place:
    return Place(
        name, JourneyState(row["state"]), row["edition"], row["entry"],
        frozenset(row["needs"]), frozenset(row["goals"]),
        SegmentId(row["segment"]) if "segment" in row else None, row.get("held"), row.get("ending", False),
    )  # fmt: skip


# ---------------------------------------------------------------- ways through journeys


def key_of(ref: Ref) -> Key:
    """Where somebody's way through a journey is."""
    return keys.journey_instance(ref.member_id, ref.journey_id, ref.entry)


def find_instances(table: Table, refs: Sequence[Ref]) -> dict[Ref, Instance]:
    """Ways as they are now; those that are not there are left out."""
    found = table.get_many([key_of(each) for each in refs], consistent=True)
    return {each.ref: each for each in map(instance_from, found.values())}


def find_instance(table: Table, ref: Ref) -> Instance | None:
    """A way as it is now, or None."""
    return find_instances(table, [ref]).get(ref)


def list_of_member(table: Table, member_id: MemberId) -> list[Instance]:
    """All ways of a member, as they are now."""
    rows = table.query_partition(keys.journeys_of(member_id), first="I", last="I" + _LAST, consistent=True)
    return [instance_from(item) for item in rows]


def list_members(
    table: Table, journey_id: JourneyId, *, left: bool, after: str | None, limit: int
) -> tuple[list[Instance], str | None]:
    """Those in a journey, or those who have left, shard by shard, the latest first; and where the next ones start.

    Found by an index, which may be a moment late; shown as they are now.
    """
    shard, position = (int(after[0]), after[1:] or None) if after else (0, None)
    found: list[Instance] = []
    while shard < keys.JOURNEY_SHARDS and len(found) < limit:
        partition = keys.journey_members(journey_id, shard, left=left)
        rows = table.query_timeline(partition, after=position, limit=limit - len(found))
        wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
        items = table.get_many(wanted, consistent=True)
        there = [instance_from(items[key]) for key in wanted if key in items]
        found += [each for each in there if (each.left is not None) is left]
        position = rows.last
        if position is None:
            shard += 1
    following = f"{shard}{position or ''}" if shard < keys.JOURNEY_SHARDS else None
    return found, following


def list_due(table: Table, slot: int, shard: int) -> Iterator[list[Ref]]:
    """Who stands in a list, page by page."""
    return _pages(table, keys.journey_due(slot, shard))


def list_held(table: Table, journey_id: JourneyId, shard: int) -> Iterator[list[Ref]]:
    """Who came due while a journey was paused, page by page."""
    return _pages(table, keys.journey_held(journey_id, shard))


def _pages(table: Table, partition: str) -> Iterator[list[Ref]]:
    """Pages of a due partition.

    A position names a member, so nobody is cut in two: whoever stands at the end of a page comes whole with the next.
    """
    after: str | None = None
    while True:
        rows = table.query_due(partition, after=after, limit=PAGE)
        items = list(rows.items)
        if rows.last is not None:
            whole = [item for item in items if item["pk"] != rows.last]
            items, after = (whole, whole[-1]["pk"]) if whole else (items, rows.last)
        if items:
            yield [ref_of(Key(item["pk"], item["sk"])) for item in items]
        if rows.last is None:
            return


def ref_of(key: Key) -> Ref:
    """Whose way an item's key names."""
    member_id, journey_id, entry = keys.journey_instance_of(key)
    return Ref(member_id, JourneyId(journey_id), entry)


def add_instance(instance: Instance) -> Write:
    """The write of somebody who comes in, unless they are in, or were."""
    return Put(key_of(instance.ref), _item(instance), Absent(), lambda _: InstanceKnown())


def move_instance(before: Instance, after: Instance) -> Write:
    """The write of somebody who moves on, unless they were moved since."""
    return Put(key_of(before.ref), _item(after), Unchanged(before.version), lambda _: InstanceMoved())


def count(instance: Instance, amounts: Amounts) -> list[Write]:
    """The write that counts a move; none where there is nothing to count."""
    changed = {name: amount for name, amount in amounts.items() if amount}
    if not changed:
        return []
    shard = keys.journey_shard(instance.ref.member_id, keys.JOURNEY_COUNTERS)
    return [Add(keys.journey_count(instance.ref.journey_id, instance.edition, shard), changed, {})]


def find_counts(table: Table, journey_id: JourneyId) -> dict[int, dict[str, int]]:
    """What is counted of a journey, by version."""
    rows = table.query_partition(keys.journey_counts(journey_id), first="V", last="V" + _LAST, consistent=True)
    found: dict[int, dict[str, int]] = {}
    for item in rows:
        counts = found.setdefault(int(item["sk"][1:7]), {})
        for name, amount in item.items():
            if name not in ("pk", "sk"):
                counts[name] = counts.get(name, 0) + amount
    return found


def _item(each: Instance) -> Item:
    ref = each.ref
    shard = keys.journey_shard(ref.member_id)
    due = None
    if each.due_at is not None and each.bucket is not None:
        due = keys.journey_due(each.bucket, shard)
    elif each.due_at is not None:
        due = keys.journey_held(ref.journey_id, shard)
    return {
        "tl": keys.journey_members(ref.journey_id, shard, left=each.left is not None),
        "at": keys.listed_moment(each.entered_at, f"{ref.member_id} {ref.entry}"),
        "due": due,
        "edition": each.edition,
        "origin": each.origin if each.origin != ref.member_id else None,
        "event": each.event_id,
        "told": milliseconds(each.told_at),
        "entered": milliseconds(each.entered_at),
        "step": each.step,
        "since": milliseconds(each.since),
        "until": milliseconds(each.due_at) if each.due_at is not None else None,
        "bucket": each.bucket,
        "facts": dict(each.facts) or None,
        "path": [[passed.step, passed.outcome, milliseconds(passed.at)] for passed in each.path] or None,
        "left": each.left.value if each.left is not None else None,
        "left_at": milliseconds(each.left_at) if each.left_at is not None else None,
        "tries": each.tries or None,
        "answers": _answers(each.answers),
        "version": each.version,
    }


def instance_from(item: Item) -> Instance:
    """The way that an item holds."""
    ref = ref_of(Key(item["pk"], item["sk"]))
    return Instance(
        ref=ref,
        edition=item["edition"],
        origin=MemberId(item.get("origin", ref.member_id)),
        event_id=item["event"],
        told_at=from_milliseconds(item["told"]),
        entered_at=from_milliseconds(item["entered"]),
        step=item["step"],
        since=from_milliseconds(item["since"]),
        due_at=from_milliseconds(item["until"]) if "until" in item else None,
        bucket=item.get("bucket"),
        facts=item.get("facts", {}),
        path=tuple(Passed(step, outcome, from_milliseconds(at)) for step, outcome, at in item.get("path", ())),
        left=Left(item["left"]) if "left" in item else None,
        left_at=from_milliseconds(item["left_at"]) if "left_at" in item else None,
        tries=item.get("tries", 0),
        answers=_answers_from(item),
        version=item["version"],
    )


# ---------------------------------------------------------------- coming again


def find_gate(table: Table, member_id: MemberId, journey_id: JourneyId) -> Gate | None:
    """When a member came into a journey last, as it is now; None: never."""
    item = table.get(keys.journey_gate(member_id, journey_id), consistent=True)
    return Gate(from_milliseconds(item["last"]), item["version"]) if item is not None else None


def put_gate(member_id: MemberId, journey_id: JourneyId, before: Gate | None, last: datetime) -> Write:
    """The write that says when a member came in last, unless they came in since that was read."""
    item: Item = {"last": milliseconds(last), "version": before.version + 1 if before else 1}
    condition = Unchanged(before.version) if before else Absent()
    return Put(keys.journey_gate(member_id, journey_id), item, condition, lambda _: InstanceMoved())


# ---------------------------------------------------------------- what happened to members


def add_note(told: Told, now: datetime) -> Write:
    """The write that keeps what happened to a member, unless it is kept."""
    item: Item = {
        "kind": told.kind,
        "at": milliseconds(told.at),
        "facts": dict(told.facts) or None,
        "expires": int((now + NOTES_KEPT).timestamp()),
    }
    return Put(keys.journey_note(told.member_id, told.at, told.event_id), item, Absent(), lambda _: InstanceKnown())


def list_notes(ops: Table, member_id: MemberId, since: datetime) -> list[Told]:
    """What happened to a member since an instant, as it is now."""
    first = keys.moment(since, 0)
    rows = ops.query_partition(keys.journey_notes(member_id), first=first, last=_LAST, consistent=True)
    return [
        Told(item["kind"], keys.parted(item["sk"])[1], member_id, from_milliseconds(item["at"]), item.get("facts", {}))
        for item in rows
    ]


# ---------------------------------------------------------------- the tick


@dataclass(frozen=True, slots=True)
class Ticked:
    """How far those who are due were handed on.

    Attributes:
        through: the last list that was handed on, by its slot.
        swept: up to this one nobody is left over.
    """

    through: int
    swept: int
    version: int = 0


def find_ticked(ops: Table) -> Ticked | None:
    """How far those who are due were handed on; None: never yet."""
    item = ops.get(keys.JOURNEY_TICK, consistent=True)
    return Ticked(item["through"], item["swept"], item["version"]) if item is not None else None


def put_ticked(before: Ticked | None, after: Ticked) -> Write:
    """The write of how far, unless another tick was faster."""
    condition = Unchanged(before.version) if before is not None and before.version else Absent()
    version = before.version + 1 if before is not None else 1
    item: Item = {"through": after.through, "swept": after.swept, "version": version}
    return Put(keys.JOURNEY_TICK, item, condition, lambda _: TickMissed())


# ---------------------------------------------------------------- segments let in by hand

LISTINGS_KEPT = timedelta(days=90)
LISTINGS_SHOWN = 20
_LISTINGS_READ = 200


@dataclass(frozen=True, slots=True)
class Listing:
    """How far a segment was let into a journey.

    Attributes:
        after: the last member who was looked at.
        passed: so many did not come in.
    """

    segment_id: SegmentId
    asked_at: datetime
    entered: int = 0
    passed: int = 0
    after: str | None = None
    done: bool = False
    version: int = 0


def find_listing(ops: Table, journey_id: JourneyId, key: str) -> Listing | None:
    """How far a segment was let in by a command, or None."""
    item = ops.get(keys.journey_listing(journey_id, key), consistent=True)
    return _listing(item) if item is not None else None


def list_listings(ops: Table, journey_id: JourneyId) -> list[Listing]:
    """Segments that were let in of late, the latest first."""
    pk = keys.journey_listings(journey_id)
    found = [_listing(each) for each in ops.query_partition(pk, first="K", last="L", limit=_LISTINGS_READ)]
    return sorted(found, key=lambda each: each.asked_at, reverse=True)[:LISTINGS_SHOWN]


def put_listing(journey_id: JourneyId, key: str, listing: Listing) -> Write:
    """The write of how far a segment was let in, unless another worker was faster."""
    item: Item = {
        "segment": listing.segment_id,
        "asked": milliseconds(listing.asked_at),
        "entered": listing.entered,
        "passed": listing.passed,
        "after": listing.after,
        "done": listing.done,
        "version": listing.version + 1,
        "expires": int((listing.asked_at + LISTINGS_KEPT).timestamp()),
    }
    condition = Unchanged(listing.version) if listing.version else Absent()
    return Put(keys.journey_listing(journey_id, key), item, condition, lambda _: ListingMoved())


def _listing(item: Item) -> Listing:
    return Listing(
        SegmentId(item["segment"]), from_milliseconds(item["asked"]), item["entered"], item["passed"],
        item.get("after"), item["done"], item["version"],
    )  # fmt: skip


# ---------------------------------------------------------------- messages


def message(refs: Sequence[Ref]) -> str:
    """A message of the queue of steps: whose turn it is."""
    return json.dumps({"do": [[each.member_id, each.journey_id, each.entry] for each in refs]}, separators=(",", ":"))


def refs_from(body: dict[str, Any]) -> list[Ref]:
    """Whose turn it is, by a message."""
    return [Ref(MemberId(member), JourneyId(journey), entry) for member, journey, entry in body["do"]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What staff asked for and a function does.

    Attributes:
        content: digest of the command.
        answers: who asked.
        segments: the segment that was named, as it was then, where points are given; else None.
    """

    content: bytes
    answers: Answers | None
    segments: str | None = None


def find_asked(table: Table, journey_id: JourneyId, key: str) -> Asked | None:
    """What staff asked for with a key, or None."""
    item = table.get(keys.journey_asked(journey_id, key), consistent=True)
    if item is None:
        return None
    return Asked(bytes(item["content"]), _answers_from(item), item.get("segments"))


def keep_asked(journey_id: JourneyId, key: str, asked: Asked) -> Write:
    """The write that says that staff asked for something that a function does: its audit record goes with it."""
    item: Item = {"content": asked.content, "answers": _answers(asked.answers), "segments": asked.segments}
    return Put(keys.journey_asked(journey_id, key), item, Absent(), lambda _: AskedKnown())
