"""Where campaigns are tried: a lake of people made up, a shelf of templates, a queue, and a worker that only counts."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from chalicelib.campaigns import store
from chalicelib.campaigns.errors import TurnMissed
from chalicelib.campaigns.models import Campaign, LaunchCampaign, MakeCampaign
from chalicelib.campaigns.ports import Asked, Lake, Tested, Title, Works
from chalicelib.campaigns.service import commands, planning, sending
from chalicelib.deliveries import rules as deliveries_rules
from chalicelib.deliveries import store as deliveries
from chalicelib.deliveries.models import Outcome, Part, PartMessage, PartState, Recipient, Run, RunStatus
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import ROLES
from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.ids import CampaignId, MemberId, SegmentId, TemplateId
from chalicelib.lake import duck
from chalicelib.lake import service as lake_service
from chalicelib.lake import store as lake_store
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.places import Place
from chalicelib.storage.table import Table
from tests.makers import Clock, Tray
from tests.memory import MemoryTable

SMS, EMAIL, OTHER = (TemplateId(f"tpl_{letter * 16}") for letter in "abc")
SEGMENT = SegmentId("seg_" + "s" * 16)
ADMIN = Caller(Kind.STAFF, "stf_admin", ("admin",), ROLES["admin"])
MARKETER = Caller(Kind.STAFF, "stf_marketer", ("marketer",), ROLES["marketer"])


def member(number: int) -> MemberId:
    """The id of somebody made up."""
    return MemberId.of(f"{number:012d}")


def a_campaign(**fields: Any) -> MakeCampaign:
    """A campaign that is sent at once."""
    return MakeCampaign.model_validate(
        {
            "name": "Spring",
            "segment_id": SEGMENT,
            "variants": [{"name": "a", "template_ids": [SMS]}],
            "schedule": {"kind": "now"},
            "quiet_hours": None,
            **fields,
        },
        strict=False,
    )


@dataclass
class Shelf:
    """Templates and a segment of the test's own."""

    sql: str = "SELECT m FROM members"
    params: tuple[Any, ...] = ()
    titles: dict[TemplateId, Title] = field(
        default_factory=lambda: {
            SMS: Title(SMS, 1, "sms", "marketing", frozenset({"name", "points"})),
            EMAIL: Title(EMAIL, 3, "email", "marketing", frozenset({"tier", "opt_out"})),
            OTHER: Title(OTHER, 2, "sms", "marketing", frozenset()),
        }
    )

    def template(self, template_id: TemplateId, version: int | None = None) -> Title | None:
        """See `ports.Shelf`."""
        return self.titles.get(template_id)

    def segment_fault(self, segment_id: SegmentId) -> str | None:
        """See `ports.Shelf`."""
        return None if segment_id == SEGMENT else "there is no such segment"

    def pinned(self, segment_id: SegmentId) -> str:
        """See `ports.Shelf`."""
        return "[]"

    def asked(self, segment_id: SegmentId, archive: str, *, today: date, now: datetime, pinned: str | None) -> Asked:
        """See `ports.Shelf`."""
        return Asked(self.sql, self.params)


@dataclass
class Fair:
    """A lake, tables and files, and what works on campaigns there."""

    folder: Path
    clock: Clock
    table: Table = field(default_factory=MemoryTable)
    ops: Table = field(default_factory=MemoryTable)
    shelf: Shelf = field(default_factory=Shelf)
    tray: Tray = field(default_factory=Tray)
    tested: list[tuple[str, str, str]] = field(default_factory=list)
    numbers: "Iterator[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.objects = FolderObjects(self.folder)
        self.book = ProgramBook(self.table)

    @property
    def place(self) -> Place:
        """Where the lake is."""
        return Place(str(self.folder), scratch=str(self.folder / ".scratch"), memory_mb=512, threads=1)

    @property
    def works(self) -> Works:
        """What plans and hands on."""
        return self.over()

    def over(
        self, table: Table | None = None, ops: Table | None = None, objects: Any = None, tray: Any = None
    ) -> Works:
        """The same over other ports."""
        core = table or self.table
        files = objects or self.objects

        def append(kind: Any, name: str, rows: Sequence[Mapping[str, Any]], now: datetime) -> object:
            return lake_store.append(files, kind, name, rows, now=now)

        return Works(
            table=core, ops=ops or self.ops, book=ProgramBook(core), objects=files, queues=tray or self.tray,
            queue="campaign-sends", open_lake=self.opened, append=append, shelf=self.shelf, clock=self.clock,
            tell=lambda name, facts: None,
        )  # fmt: skip

    @contextmanager
    def opened(self, today: date, now: datetime) -> Iterator[Lake]:
        """The lake as it is."""
        head = lake_store.find_head(self.ops)
        with duck.opened(self.place, head, today=today, now=now) as connection:
            yield Lake(connection, self.place.root, head.built_at if head else now)

    # ------------------------------------------------------------ the lake

    def pour(self, *rows: Mapping[str, Any]) -> None:
        """Write rows to the lake's log, and make a patch of them."""
        lake_store.keep_batch(self.objects, [lake_store.line_of(dict(each)) for each in rows], now=self.clock())
        self.patch()

    def patch(self) -> None:
        """Merge what is new into the lake."""
        made = lake_service.Lake(self.ops, self.objects, self.place, lambda: next(self.numbers))
        lake_service.patch(made, today=self.clock().date(), now=self.clock())

    def people(self, count: int, first: int = 0, **fields: Any) -> list[MemberId]:
        """Members made up, who can be written to by sms unless something else is said."""
        ids = [member(first + number) for number in range(count)]
        rows: list[Mapping[str, Any]] = []
        for member_id in ids:
            rows += a_person(member_id, **fields)
        self.pour(*rows)
        return ids

    # ------------------------------------------------------------ campaigns

    def make(self, key: str = "k1", **fields: Any) -> CampaignId:
        """Make a draft."""
        made: CampaignId = self.made(a_campaign(**fields), key).value.campaign_id
        return made

    def made(self, command: MakeCampaign, key: str = "k1", table: Table | None = None) -> Any:
        """Carry out a command to make a draft."""
        core = table or self.table
        return commands.make_campaign(
            core, self.shelf, ProgramBook(core), key, command, by="stf_admin", draw=lambda: 7, now=self.clock()
        )

    def launch(self, campaign_id: CampaignId, caller: Caller = ADMIN, version: int = 1, **more: Any) -> Any:
        """Let a draft go."""
        return commands.launch_campaign(
            self.table, self.shelf, self.book, campaign_id, LaunchCampaign(version=version, **more), caller,
            now=self.clock(),
        )  # fmt: skip

    def begin(self, campaign_id: CampaignId, works: Works | None = None) -> str | None:
        """Let a campaign's run begin, if it is due, and plan it."""
        here = works or self.works
        if planning.beginning_now(here, self.campaign(campaign_id), self.clock()):
            return planning.plan(here, campaign_id)
        return None

    def go(self, key: str = "k1", **fields: Any) -> tuple[CampaignId, str]:
        """Make, launch and plan a campaign, and hand on what is due."""
        campaign_id = self.make(key, **fields)
        self.launch(campaign_id)
        run_id = self.begin(campaign_id)
        assert run_id is not None
        sending.advance(self.works, campaign_id)
        return campaign_id, run_id

    def round(self, works: Works | None = None) -> None:
        """The minute's round, as the function makes it."""
        here = works or self.works
        for campaign_id in store.list_at_work(here.table):
            sending.advance(here, campaign_id)
            found = store.find_campaign(here.table, campaign_id)
            if found is not None and planning.beginning_now(here, found, self.clock()):
                with suppress(TurnMissed):
                    planning.plan(here, campaign_id)
                sending.advance(here, campaign_id)

    def campaign(self, campaign_id: CampaignId) -> Campaign:
        """A campaign as it is."""
        found = store.find_campaign(self.table, campaign_id)
        assert found is not None
        return found

    def parts(self, run_id: str) -> list[Part]:
        """A run's parts as they were written."""
        count = len(store.find_parts(self.objects, run_id))
        contents = [self.objects.get(deliveries_rules.part_key(run_id, number)) for number in range(count)]
        return [deliveries_rules.part_from(each) for each in contents if each is not None]

    def recipients(self, run_id: str) -> list[Recipient]:
        """Everybody who is written to by a run."""
        return [each for part in self.parts(run_id) for each in part.recipients]

    def work(
        self, became: Callable[[Recipient], Outcome] = lambda _: Outcome.SENT, *, cost_micro: int = 0
    ) -> list[PartMessage]:
        """Take what was handed on, and send it to nobody; what became of each is written as a worker writes it."""
        messages = [PartMessage.model_validate_json(each["body"]) for each in self.tray.taken()]
        for message in messages:
            run = deliveries.find_run(self.table, message.run_id)
            assert run is not None
            known = deliveries.find_part(self.ops, message.run_id, message.part)
            if run.status is not RunStatus.SENDING or known is not None:
                continue
            part = deliveries_rules.part_from(
                self.objects.get(deliveries_rules.part_key(message.run_id, message.part)) or b""
            )
            outcomes = [became(each) for each in part.recipients]
            state = PartState(
                message.run_id, message.part, "".join(each.value for each in outcomes).upper(),
                cost_micro=cost_micro * len(outcomes), done=True,
            )  # fmt: skip
            counts = {each: outcomes.count(each) for each in set(outcomes)}
            now = self.clock()
            self.ops.commit([deliveries.keep_part(state, now), deliveries.count_part(state, counts, now)])
            rows = [
                deliveries_rules.row(
                    run, part.channel, each, _name(run, part, each), outcome, milliseconds(now), "test", cost_micro
                )
                for each, outcome in zip(part.recipients, outcomes, strict=True)
            ]
            lake_store.append(self.objects, "delivery", f"{run.run_id}-{message.part}", rows, now=now)
        return messages

    def send(self, campaign_id: str, name: str, member_id: MemberId, template: Title, now: datetime) -> Tested:
        """See `ports.Tester`."""
        self.tested.append((name, member_id, template.channel))
        return Tested("sent")


def _name(run: Run, part: Part, each: Recipient) -> str:
    return deliveries_rules.delivery_id(run.run_id, run.source_id, run.step, each.member_id, part.channel)


def a_person(
    member_id: str,
    *,
    status: str = "active",
    consents: Sequence[str] = ("marketing",),
    withdrawn: Sequence[str] = (),
    ways: Sequence[str] = ("sms",),
    suppressed: Sequence[str] = (),
    month_day: str | None = None,
    language: str | None = None,
) -> list[dict[str, Any]]:
    """The lake's rows of somebody."""
    member = {
        "id": member_id, "v": 1, "sealed": "c2VhbGVk", "gender": None, "language": language, "month_day": month_day,
        "born": None, "shop_id": None, "region": None, "source": None, "tags": [], "custom": None,
        "consents": list(consents), "withdrawn": list(withdrawn), "ways": list(ways), "suppressed": list(suppressed),
    }  # fmt: skip
    account = {
        "id": member_id, "v": 1, "into": None, "status": status, "joined_on": "2025-01-01", "tier_id": "basic",
        "points_earned": 100, "points_spent": 0, "lots": [{"d": "2027-12-31", "p": 100}], "waits": [], "held": [],
    }  # fmt: skip
    return [{"member": member}, {"account": account}]


def a_sale(member_id: str, at: datetime, paid_minor: int, number: int = 1, **more: Any) -> dict[str, Any]:
    """The lake's row of a purchase."""
    return {
        "purchase": {
            "id": member_id, "purchase_id": f"pur_{member_id}{number}", "v": 1, "shop_id": None, "channel": "pos",
            "bought_on": at.date().isoformat(), "bought_at": milliseconds(at), "paid_minor": paid_minor,
            "refunded_minor": 0, "tender_minor": 0, "points_earned": paid_minor // 100, "returned": False,
            "basket": [], **more,
        }
    }  # fmt: skip
