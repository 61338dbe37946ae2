"""How campaigns are stored.

In `core`: `CMP#<campaign>` / `CMP` the campaign, listed by the timeline index, and by the due index while it is at
work. What a campaign keeps of a run stands in the run's own item, under names that begin with `x_`.

In `ops`: whose turn it is to be planned, and how many parts of a run were handed on.

As files: `plans/<run>/parts.json` the list of a run's parts, `plans/<run>/roster-….jsonl` its members, those who are
held out too; the parts themselves are those of `deliveries`.
"""

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chalicelib.campaigns.errors import AskedKnown, CampaignMoved, TestsMoved, TurnMissed
from chalicelib.campaigns.models import (
    Beginning,
    Campaign,
    CampaignRun,
    CampaignState,
    Definition,
    Pinned,
    PlannedPart,
)
from chalicelib.campaigns.rules.releasing import Released
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import AccountId, CampaignId, CampaignRunId, MemberId, TemplateId
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Unchanged, Write

AT_WORK_MAX = 1000
"""So many campaigns are looked at in a minute."""

RELEASES_KEPT = timedelta(days=40)
TESTED_KEPT = timedelta(days=2)

Row = dict[str, object]


# ---------------------------------------------------------------- campaigns


def find_campaign(table: Table, campaign_id: CampaignId) -> Campaign | None:
    """A campaign as it is now, or None."""
    item = table.get(keys.campaign(campaign_id), consistent=True)
    return campaign_from(item) if item is not None else None


def list_campaigns(table: Table, *, after: str | None, limit: int) -> tuple[list[Campaign], str | None]:
    """Campaigns, newest first, and where the next ones start."""
    rows = table.query_timeline(keys.CAMPAIGNS, after=after, limit=limit)
    wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
    found = table.get_many(wanted, consistent=True)
    return [campaign_from(found[key]) for key in wanted if key in found], rows.last


def list_at_work(table: Table) -> list[CampaignId]:
    """Campaigns that were launched and are not over, as an index has them: perhaps a moment late."""
    rows = table.query_due(keys.CAMPAIGNS_AT_WORK, after=None, limit=AT_WORK_MAX)
    return [CampaignId(keys.campaign_of(row["pk"])) for row in rows.items]


def add_campaign(campaign: Campaign) -> Write:
    """The write of a new campaign."""
    return Put(keys.campaign(campaign.campaign_id), _item(campaign), Absent(), lambda _: CampaignMoved())


def replace_campaign(before: Campaign, after: Campaign) -> Write:
    """The write of a campaign after the one that was read."""
    item = _item(after.model_copy(update={"version": before.version + 1}))
    return Put(keys.campaign(before.campaign_id), item, Unchanged(before.version), lambda _: CampaignMoved())


def _is_at_work(campaign: Campaign) -> bool:
    """Whether the minute's round has something to do for it: what was cancelled still has its runs to be closed."""
    if campaign.state in (CampaignState.DRAFT, CampaignState.SENT):
        return False
    return campaign.state is not CampaignState.CANCELLED or bool(campaign.open_runs)


def _item(campaign: Campaign) -> Item:
    pinned = {
        variant: [[each.template_id, each.version, each.channel] for each in templates]
        for variant, templates in campaign.pinned.items()
    }
    return {
        "tl": keys.CAMPAIGNS,
        "at": keys.listed_moment(campaign.made_at, campaign.campaign_id),
        "due": keys.CAMPAIGNS_AT_WORK if _is_at_work(campaign) else None,
        "definition": campaign.definition.model_dump_json(),
        "state": campaign.state.value,
        "salt": campaign.salt,
        "made": milliseconds(campaign.made_at),
        "by": campaign.made_by,
        "content": campaign.content,
        "pinned": pinned or None,
        "segments": campaign.segments,
        "launched_version": campaign.launched_version,
        "launched": milliseconds(campaign.launched_at) if campaign.launched_at else None,
        "launched_by": campaign.launched_by,
        "launched_own": campaign.launched_own,
        "ended": milliseconds(campaign.ended_at) if campaign.ended_at else None,
        "ended_for": campaign.ended_for,
        "beginning": campaign.beginning.model_dump_json() if campaign.beginning else None,
        "open": list(campaign.open_runs) or None,
        "runs": campaign.runs_count or None,
        "through": campaign.through.isoformat() if campaign.through else None,
        "cost": campaign.cost_micro or None,
        "version": campaign.version,
    }


def campaign_from(item: Item) -> Campaign:
    """The campaign that an item holds."""
    pinned = {
        variant: tuple(Pinned(template_id=TemplateId(a), version=b, channel=c) for a, b, c in templates)
        for variant, templates in item.get("pinned", {}).items()
    }
    return Campaign(
        campaign_id=CampaignId(keys.campaign_of(item["pk"])),
        definition=Definition.model_validate_json(item["definition"]),
        state=CampaignState(item["state"]),
        salt=item["salt"],
        made_at=from_milliseconds(item["made"]),
        made_by=item["by"],
        content=item["content"],
        pinned=pinned,
        segments=item.get("segments"),
        launched_version=item.get("launched_version"),
        launched_at=from_milliseconds(item["launched"]) if "launched" in item else None,
        launched_by=item.get("launched_by"),
        launched_own=AccountId(item["launched_own"]) if "launched_own" in item else None,
        ended_at=from_milliseconds(item["ended"]) if "ended" in item else None,
        ended_for=item.get("ended_for"),
        beginning=Beginning.model_validate_json(item["beginning"]) if "beginning" in item else None,
        open_runs=tuple(CampaignRunId(each) for each in item.get("open", ())),
        runs_count=item.get("runs", 0),
        through=date.fromisoformat(item["through"]) if "through" in item else None,
        cost_micro=item.get("cost", 0),
        version=item["version"],
    )


# ---------------------------------------------------------------- runs


def run_facts(campaign_id: CampaignId, kept: CampaignRun) -> Item:
    """What stands in a run's item beside what a worker has to know."""
    return {
        "tl": keys.campaign_runs(campaign_id),
        "at": keys.listed_moment(kept.planned_at, kept.day.isoformat()),
        "x_kept": kept.model_dump_json(exclude_defaults=True),
    }


def kept_from(item: Item) -> CampaignRun:
    """What a campaign keeps of a run, from the run's item."""
    return CampaignRun.model_validate_json(item["x_kept"])


def find_runs(table: Table, run_ids: Sequence[CampaignRunId]) -> list[Item]:
    """Items of runs, as they are now."""
    wanted = [keys.run(each) for each in run_ids]
    found = table.get_many(wanted, consistent=True)
    return [found[key] for key in wanted if key in found]


def list_runs(table: Table, campaign_id: CampaignId, *, limit: int) -> list[Item]:
    """Items of a campaign's runs, newest first."""
    rows = table.query_timeline(keys.campaign_runs(campaign_id), after=None, limit=limit)
    wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
    found = table.get_many(wanted, consistent=True)
    return [found[key] for key in wanted if key in found]


# ---------------------------------------------------------------- whose turn it is to be planned


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is.

    Attributes:
        recent: runs that were planned of late, with when: their plans count though the lake may not have them yet.
    """

    owner: str
    until: datetime
    recent: tuple[tuple[CampaignRunId, datetime], ...] = ()
    version: int = 0


def find_turn(ops: Table) -> Turn:
    """Whose turn it is; nobody's before the first."""
    item = ops.get(keys.CAMPAIGN_TURN, consistent=True)
    if item is None:
        return Turn("", from_milliseconds(0))
    recent = tuple((CampaignRunId(run), from_milliseconds(at)) for run, at in item.get("recent", ()))
    return Turn(item["owner"], from_milliseconds(item["until"]), recent, item["version"])


def take_turn(before: Turn, after: Turn) -> Write:
    """The write that takes, keeps or ends a turn, if nobody else did since."""
    item: Item = {
        "owner": after.owner,
        "until": milliseconds(after.until),
        "recent": [[run, milliseconds(at)] for run, at in after.recent] or None,
        "version": before.version + 1,
    }
    condition = Unchanged(before.version) if before.version else Absent()
    return Put(keys.CAMPAIGN_TURN, item, condition, lambda _: TurnMissed())


# ---------------------------------------------------------------- what was handed on


def find_released(ops: Table, run_id: str) -> Released:
    """How many parts of a run were handed on."""
    item = ops.get(keys.campaign_release(run_id), consistent=True)
    if item is None:
        return Released()
    return Released(
        parts=item["parts"],
        at=from_milliseconds(item["released"]) if "released" in item else None,
        done=item["done"],
        moved_at=from_milliseconds(item["moved"]) if "moved" in item else None,
        resumed=item.get("resumed", 0),
        version=item["version"],
    )


def keep_released(run_id: str, before: Released, after: Released, now: datetime) -> Write:
    """The write of what was handed on, if nobody else handed on since."""
    item: Item = {
        "parts": after.parts,
        "released": milliseconds(after.at) if after.at else None,
        "done": after.done,
        "moved": milliseconds(after.moved_at) if after.moved_at else None,
        "resumed": after.resumed or None,
        "version": before.version + 1,
        "expires": int((now + RELEASES_KEPT).timestamp()),
    }
    condition = Unchanged(before.version) if before.version else Absent()
    return Put(keys.campaign_release(run_id), item, condition, lambda _: CampaignMoved())


# ---------------------------------------------------------------- files


def _folder(run_id: str) -> str:
    return f"plans/{run_id}"


def put_parts(objects: Objects, run_id: str, parts: Iterable[PlannedPart]) -> None:
    """Write the list of a run's parts."""
    text = json.dumps(list(parts), separators=(",", ":"))
    objects.put(f"{_folder(run_id)}/parts.json", text.encode(), kind="application/json")


def find_parts(objects: Objects, run_id: str) -> list[PlannedPart]:
    """The list of a run's parts.

    Raises:
        LookupError: there is none, though the run was planned.
    """
    content = objects.get(f"{_folder(run_id)}/parts.json")
    if content is None:
        raise LookupError(f"the list of parts of {run_id} is gone")
    return [PlannedPart(*each) for each in json.loads(content)]


def put_roster(objects: Objects, run_id: str, number: int, rows: Sequence[Row]) -> None:
    """Write some of a run's members, as the lake is to have them."""
    text = "\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    content = gzip.compress(text.encode(), compresslevel=1, mtime=0)
    objects.put(roster_key(run_id, number), content, kind="application/gzip")


def find_roster(objects: Objects, run_id: str, number: int) -> list[Row]:
    """Some of a run's members.

    Raises:
        LookupError: the file is gone.
    """
    content = objects.get(roster_key(run_id, number))
    if content is None:
        raise LookupError(f"a roster of {run_id} is gone")
    return [json.loads(line) for line in gzip.decompress(content).decode().split("\n")]


def roster_key(run_id: str, number: int) -> str:
    """Where some of a run's members are named."""
    return f"{_folder(run_id)}/roster-{number:05d}.jsonl.gz"


def find_tested(
    ops: Table, day: date, by: str, member_ids: Iterable[MemberId]
) -> dict[MemberId, tuple[tuple[str, ...], int]]:
    """The marks of the tests that somebody had sent to members on a day, and the version that says so."""
    places = {each: keys.campaign_tested(day, by, each) for each in member_ids}
    found = ops.get_many(list(places.values()), consistent=True)
    return {
        each: (tuple(item["marks"]), item["version"]) if (item := found.get(place)) else ((), 0)
        for each, place in places.items()
    }


def keep_tested(day: date, by: str, member_id: MemberId, marks: Sequence[str], version: int, now: datetime) -> Write:
    """The write of such marks, if no others were counted since."""
    item: Item = {
        "marks": list(marks),
        "version": version + 1,
        "expires": int((now + TESTED_KEPT).timestamp()),
    }
    condition = Unchanged(version) if version else Absent()
    return Put(keys.campaign_tested(day, by, member_id), item, condition, lambda _: TestsMoved())


def find_asked(table: Table, campaign_id: CampaignId, key: str) -> bytes | None:
    """What staff asked for with a key and a function does: the digest of the command, or None."""
    item = table.get(keys.campaign_asked(campaign_id, key), consistent=True)
    return bytes(item["content"]) if item is not None else None


def keep_asked(campaign_id: CampaignId, key: str, content: bytes) -> Write:
    """The write that says that staff asked for something that a function does: its audit record goes with it."""
    return Put(keys.campaign_asked(campaign_id, key), {"content": content}, Absent(), lambda _: AskedKnown())
