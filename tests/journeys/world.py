"""A world of journeys: the real use cases over ports that fail, interrupt and forget on demand.

Each call of a port is a point with a number. At a point a worker can be killed, before or after what it asked for was
done, the database can be busy, an answer can be lost, or another worker can take the same message meanwhile.
"""

import heapq
import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from chalicelib.deliveries.rules import quiet_until
from chalicelib.journeys import store
from chalicelib.journeys.models import (
    DEFINITION,
    Answers,
    Edition,
    Head,
    Instance,
    JourneyDefinition,
    JourneyState,
    Send,
    Told,
)
from chalicelib.journeys.ports import Person, Posted, Works
from chalicelib.journeys.rules import timing
from chalicelib.journeys.service import managing, messages, ticking
from chalicelib.journeys.service.stepping import message_step
from chalicelib.journeys.service.taking import Taker
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import JourneyId, MemberId
from chalicelib.programs.service import ProgramBook
from tests.makers import NOON, Clock
from tests.memory import MemoryTable

JOURNEY = JourneyId("jrn_aaaaaaaaaaaaaaaa")
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
VISIBILITY = timedelta(seconds=90)


class Killed(BaseException):
    """kill -9. Nothing catches it."""


def member(number: int) -> MemberId:
    """The id of a member of the world."""
    digits = ""
    for _ in range(16):
        number, digit = divmod(number, 32)
        digits = _LETTERS[digit] + digits
    return MemberId("mem_" + digits)


@dataclass
class Points:
    """Counts the calls of ports, and has faults happen at some: `before`, `after`, `busy`, `lost`, `meanwhile`.

    Attributes:
        count: calls since a worker took its message; `total`: since the beginning.
    """

    faults: dict[int, str] = field(default_factory=dict)
    meanwhile: Callable[[], None] = lambda: None
    count: int = 0
    total: int = 0
    asleep: int = 0
    met: Counter[str] = field(default_factory=Counter)

    def at(self, do: Callable[[], Any]) -> Any:
        """Do what a port is asked for, with whatever happens at this point."""
        if self.asleep:
            return do()
        number, self.count, self.total = self.count, self.count + 1, self.total + 1
        kind = self.faults.get(number)
        if kind is None:
            return do()
        self.met[kind] += 1
        if kind == "before":
            raise Killed
        if kind == "busy":
            raise StorageBusy
        if kind == "meanwhile":
            self.asleep += 1
            try:
                self.meanwhile()
            finally:
                self.asleep -= 1
            return do()
        do()
        if kind == "after":
            raise Killed
        raise StorageBusy


class Through:
    """Any port, each of whose methods is a point."""

    def __init__(self, points: Points, inner: Any) -> None:
        self._points, self._inner = points, inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return (lambda *args, **more: self._points.at(lambda: found(*args, **more))) if callable(found) else found


@dataclass
class Crowd:
    """Members, and who bought what."""

    people: dict[MemberId, Person] = field(default_factory=dict)
    bought: Counter[MemberId] = field(default_factory=Counter)

    def find(self, member_ids: Collection[MemberId], now: datetime) -> Mapping[MemberId, Person]:
        """See `ports.People`."""
        return {each: self.people.get(each, Person(each, "unknown")) for each in member_ids}

    def bought_before(self, told: Told) -> bool:
        """See `ports.People`."""
        return self.bought[told.member_id] > 1


@dataclass
class Lake:
    """Says who fits: by default those whose id ends with a letter of the first half of the alphabet."""

    asked: list[list[MemberId]] = field(default_factory=list)
    members: list[MemberId] = field(default_factory=list)
    fits: Callable[[MemberId], bool] = lambda each: each[-1] < "n"

    def fitting(self, definition: Any, member_ids: Collection[MemberId], pinned: str | None) -> frozenset[MemberId]:
        """See `ports.Judge`."""
        self.asked.append(list(member_ids))
        return frozenset(each for each in member_ids if self.fits(each))

    def page(
        self, segment_id: Any, after: str | None, limit: int, pinned: str | None
    ) -> tuple[Sequence[MemberId], str | None]:
        """See `ports.Judge`."""
        rest = sorted(each for each in self.members if after is None or each > after)
        return rest[:limit], rest[limit - 1] if len(rest) > limit else None


@dataclass
class Mail:
    """Messages as deliveries send them: claimed, then asked for, then written down.

    Attributes:
        claims: what is known of each message; None: a provider is being asked, or was when the worker died.
        got: what came to members, by message.
    """

    points: Points
    zone: str
    claims: dict[str, str | None] = field(default_factory=dict)
    got: Counter[str] = field(default_factory=Counter)
    claiming: bool = True

    def name(self, instance: Instance, step: Send) -> str:
        """What makes a message one."""
        return f"{instance.ref.journey_id} {instance.ref.member_id} {message_step(instance, step)}"

    def send(
        self, instance: Instance, step: Send, pinned: tuple[str, int, str], send_until: datetime, now: datetime
    ) -> Posted:
        """See `ports.Post`."""
        name = self.name(instance, step)
        if self.claiming and name in self.claims:
            known = self.claims[name]
            if known is None:
                self.claims[name] = known = "unknown"
            return Posted(known)
        if now >= send_until:
            return self._settled(name, "expired")
        quiet = quiet_until(now, timing.quiet_of(step.quiet_hours), self.zone)
        if quiet is not None:
            return Posted("", quiet, "quiet")
        self.points.at(lambda: self._claim(name))
        if self.claiming and self.claims[name] is not None:
            return Posted(self.claims[name] or "")
        self.points.at(lambda: self.got.update([name]))
        return self._settled(name, "sent")

    def _claim(self, name: str) -> None:
        if self.claiming and name in self.claims:
            raise StorageBusy  # somebody else is at it
        self.claims[name] = None

    def _settled(self, name: str, outcome: str) -> Posted:
        self.points.at(lambda: self.claims.update({name: outcome}))
        return Posted(outcome)

    def was_asked(self, instance: Instance, step: Send, pinned: tuple[str, int, str]) -> bool:
        """See `ports.Post`."""
        return self.claims.get(self.name(instance, step), "") in (None, "sent", "unknown")

    def would(self, member_id: MemberId, step: Send, pinned: tuple[str, int, str], at: datetime) -> Posted:
        """See `ports.Post`."""
        return Posted("sent", quiet_until(at, timing.quiet_of(step.quiet_hours), self.zone))


@dataclass
class Ledger:
    """Points by key, as the ledger has them."""

    given: dict[str, tuple[MemberId, int]] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    keyed: bool = True

    def give(
        self, key: str, member_id: MemberId, points: int, days: int | None, now: datetime, answers: Answers | None
    ) -> bool:
        """See `ports.Giver`."""
        if not (self.keyed and key in self.given):
            self.given[key] = member_id, points
            self.times[key] += 1
        return True


@dataclass
class Tags:
    """Tags of the crowd."""

    crowd: Crowd

    def retag(self, member_id: MemberId, tag: str, *, given: bool, now: datetime) -> bool:
        """See `ports.Tagger`."""
        person = self.crowd.people[member_id]
        if (tag in person.tags) is given:
            return False
        tags = person.tags | {tag} if given else person.tags - {tag}
        self.crowd.people[member_id] = replace(person, tags=tags)
        return True


@dataclass
class World:
    """Everything at once.

    Attributes:
        queue: messages, by when they are given out.
        lose: one of so many messages is lost though it was sent, as if nobody had sent it.
        repeat: one of so many comes again, up to two days later.
        trouble: how likely something goes wrong while a message is worked on.
    """

    chance: Random = field(default_factory=lambda: Random(1))
    clock: Clock = field(default_factory=lambda: Clock(NOON))
    core: MemoryTable = field(default_factory=MemoryTable)
    ops: MemoryTable = field(default_factory=MemoryTable)
    points: Points = field(default_factory=Points)
    crowd: Crowd = field(default_factory=Crowd)
    lake: Lake = field(default_factory=Lake)
    ledger: Ledger = field(default_factory=Ledger)
    queue: list[tuple[datetime, int, str]] = field(default_factory=list)
    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    lose: int = 0
    repeat: int = 0
    trouble: float = 0.0
    number: Any = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.book = ProgramBook(self.core)
        self.zone = self.book.current(self.clock()).time_zone
        self.mail = Mail(self.points, self.zone)
        self.taker = self.worker()

    def works(self) -> Works:
        """A worker's ports, each with its points."""
        return Works(
            table=Through(self.points, self.core),
            ops=Through(self.points, self.ops),
            book=self.book,
            people=Through(self.points, self.crowd),
            judge=Through(self.points, self.lake),
            post=self.mail,
            giver=Through(self.points, self.ledger),
            tagger=Through(self.points, Tags(self.crowd)),
            hand=lambda bodies, delay: self.points.at(lambda: self.hand(bodies, delay)),
            clock=self.clock,
            tell=lambda what, facts: self.told.append((what, facts)),
        )

    def worker(self) -> Taker:
        """A worker that has just started."""
        return Taker(self.works())

    # ------------------------------------------------------------ journeys

    def journey(
        self,
        document: Mapping[str, Any],
        *,
        edition: int = 1,
        state: JourneyState = JourneyState.ACTIVE,
        journey: JourneyId = JOURNEY,
    ) -> JourneyDefinition:
        """Write a journey down as `managing` does, at work from now on."""
        definition = DEFINITION.validate_json(json.dumps({"name": "A journey", **document}))
        before = store.find_head(self.core, journey)
        head = Head(
            journey_id=journey, name="A journey", state=state, edition=edition, made_at=self.clock(), made_by="stf_a",
            edited_at=self.clock(), moved_at=self.clock(), content=b"",
            activated_at=before.activated_at if before else self.clock(), version=before.version + 1 if before else 1,
        )  # fmt: skip
        pinned = {each.step: ("tpl_" + "a" * 16, 1, "email") for each in definition.steps if isinstance(each, Send)}
        made = Edition(
            journey_id=journey, edition=edition, definition=definition, pinned=pinned, made_at=self.clock(),
            made_by="stf_a",
        )  # fmt: skip
        board = store.find_board(self.core)
        self.core.commit(
            [
                store.put_head(head),
                store.add_edition(made),
                store.put_board(board, managing._posted(board, head, definition)),
            ]
        )
        return definition

    def turn(self, state: JourneyState, journey: JourneyId = JOURNEY) -> None:
        """Pause a journey, end it …"""
        head = store.find_head(self.core, journey)
        assert head is not None
        after = head.model_copy(update={"state": state, "moved_at": self.clock(), "version": head.version + 1})
        edition = store.find_edition(self.core, journey, head.edition)
        assert edition is not None
        board = store.find_board(self.core)
        posted = managing._posted(board, after, edition.definition)
        self.core.commit([store.put_head(after), store.put_board(board, posted)])

    def enrol(self, number: int, **fields: Any) -> MemberId:
        """Somebody who is a member."""
        name = member(number)
        self.crowd.people[name] = Person(name, "active", **fields)
        return name

    # ------------------------------------------------------------ queues

    def hand(self, bodies: Sequence[str], delay: int = 0) -> None:
        """Put messages on the queue; some come twice, and some are lost."""
        for body in bodies:
            if self.lose and self.chance.randrange(self.lose) == 0:
                continue
            self.put(body, timedelta(seconds=delay))
            if self.repeat and self.chance.randrange(self.repeat) == 0:
                self.put(body, timedelta(seconds=self.chance.randrange(172_800)))

    def put(self, body: str, delay: timedelta = timedelta(0)) -> None:
        """Put a message on the queue."""
        heapq.heappush(self.queue, (self.clock() + delay, next(self.number), body))

    def tell(self, told: Told, delay: timedelta = timedelta(0)) -> None:
        """Have an event come to journeys."""
        row = [told.kind, told.event_id, told.member_id, told.at.isoformat(), dict(told.facts)]
        self.put(json.dumps({"event": row}), delay)

    def happens(self, kind: str, name: MemberId, *, delay: timedelta = timedelta(0), **facts: Any) -> Told:
        """Something happens to a member now."""
        told = Told(kind, f"evt_{next(self.number):032d}", name, self.clock(), facts)
        if kind == "purchased":
            self.crowd.bought[name] += 1
        self.tell(told, delay)
        return told

    def take(self, body: str) -> None:
        """Do what a message asks for, as the functions do.

        Raises:
            Killed: the worker died.
            Exception: the queue gives the message again.
        """
        read = json.loads(body)
        if "event" in read:
            kind, event_id, name, at, facts = read["event"]
            if kind == "gone":
                self.taker.settle(MemberId(name))
            else:
                self.taker.take(Told(kind, event_id, MemberId(name), datetime.fromisoformat(at), facts))
        elif "do" in read:
            failures: list[Exception] = []
            self.taker.stepper.work(store.refs_from(read), lambda _, fault: failures.append(fault))
            if failures:
                raise failures[0]
        elif "candidate" in read:
            journey, edition, told = messages.candidate_from(read)
            self.taker.enter_fitting(journey, edition, [told])
        else:
            managing.enter_listed(self.taker, read)

    def give_out(self, body: str) -> None:
        """Give a message to a worker, again and again until it is done with."""
        self.points.meanwhile = lambda: self._quietly(body)
        self.points.count, self.points.faults = 0, self._faults()
        try:
            self.take(body)
        except Killed:
            self.taker = self.worker()
            self.put(body, VISIBILITY)
        except Exception:  # noqa: BLE001 - as the queue
            self.put(body, VISIBILITY)

    def _faults(self) -> dict[int, str]:
        if not self.trouble:
            return self.points.faults
        if self.chance.random() >= self.trouble:
            return {}
        return {self.chance.randrange(16): self.chance.choice(("before", "after", "busy", "lost", "meanwhile"))}

    def _quietly(self, body: str) -> None:
        before = self.taker
        self.taker = self.worker()
        try:
            self.take(body)
        except Exception:  # noqa: BLE001 - it comes again
            self.put(body, VISIBILITY)
        finally:
            self.taker = before

    def work(self) -> None:
        """Give out all messages whose time has come."""
        while self.queue and self.queue[0][0] <= self.clock():
            self.give_out(heapq.heappop(self.queue)[2])

    def tick(self) -> None:
        """The minute's tick."""
        self.points.count, self.points.faults = 0, self._faults() if self.trouble else {}
        self.points.asleep += not self.trouble
        try:
            ticking.tick(self.works())
        except (Killed, StorageBusy):
            return
        finally:
            self.points.asleep -= not self.trouble

    def run(self, span: timedelta, every: timedelta = timedelta(minutes=10)) -> None:
        """Let time go by, with ticks and workers."""
        ends = self.clock() + span
        while self.clock() < ends:
            self.tick()
            self.work()
            self.clock.now += every

    # ------------------------------------------------------------ looking

    def ways(self) -> list[Instance]:
        """All ways through journeys."""
        found = [item for key, item in self.core.items.items() if key.pk.startswith("JIN#") and key.sk.startswith("I#")]
        return [store.instance_from(item) for item in found]

    def way(self, name: MemberId, journey: JourneyId = JOURNEY) -> Instance:
        """The only way of a member."""
        (found,) = [each for each in self.ways() if each.ref.member_id == name and each.ref.journey_id == journey]
        return found

    def counted(self, journey: JourneyId = JOURNEY) -> Counter[tuple[int, str]]:
        """What is counted."""
        return Counter(
            {
                (edition, name): amount
                for edition, counts in store.find_counts(self.core, journey).items()
                for name, amount in counts.items()
                if amount
            }
        )


def path(way: Instance) -> list[tuple[str, str]]:
    """The steps that somebody is through with, and what came of each."""
    return [(each.step, each.outcome) for each in way.path]
