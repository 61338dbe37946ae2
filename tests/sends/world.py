"""A world in which parts of runs are sent: real use cases over ports that fail, interrupt and forget on demand.

Every call of a port is a point with a number. At a point a worker can be killed, before or after what it asked for was
done, an answer can be lost, or something else can happen first: another worker takes the same message, a member opts
out, the run is paused, an hour passes.
"""

import base64
import heapq
import itertools
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.models import (
    DeliveryId,
    Gift,
    Outcome,
    Part,
    PartMessage,
    Recipient,
    Row,
    Run,
    RunStatus,
    Wording,
)
from chalicelib.deliveries.ports import Office, Standing
from chalicelib.deliveries.service import parts
from chalicelib.deliveries.service.parts import Ended
from chalicelib.kernel.errors import StorageBusy
from chalicelib.providers.calls import in_calls, singly
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.pace import Go, Wait
from chalicelib.providers.port import Look, ProviderBusy, everyone
from chalicelib.storage import keys
from chalicelib.storage.keyring import CLEAR
from tests.fakes import ClearContacts
from tests.faults.works import MemoryObjects
from tests.makers import NOON, Clock
from tests.memory import MemoryTable
from tests.sends.words import Words

RUN = "crn_aaaaaaaaaaaaaaaa_once"
CHANNEL = "email"
VISIBILITY = timedelta(seconds=180)
TIME_LIMIT = timedelta(seconds=120)
_ORDINALS = "abcdefghijklmnopqrstuvwxyz234567"


class Killed(BaseException):
    """kill -9. Nothing catches it."""


@dataclass(frozen=True)
class Fault:
    """What happens at a point.

    Attributes:
        kind: `before`, `after` (killed), `busy` (not done), `lost` (done, and the answer is lost), or `meanwhile`.
        act: what happens meanwhile.
    """

    kind: str
    act: "Callable[[World], None] | None" = None


class Links:
    """Links that nobody signed."""

    def opt_out(
        self, member_id: str, purpose: str, channel: str, name: DeliveryId, now: datetime, *, language: str
    ) -> str:
        """See `ports.Links`."""
        return f"https://example.com/{member_id}"

    def preferences(self, member_id: str, channel: str, name: DeliveryId, now: datetime, *, language: str) -> str:
        """See `ports.Links`."""
        return ""


@dataclass
class Points:
    """Counts the calls of ports, and has faults happen at some."""

    world: "World"
    faults: dict[int, Fault]
    count: int = 0
    asleep: bool = False
    met: int = 0

    def at(self, do: Callable[[], Any], *, meanwhile: bool = True) -> Any:
        """Do what a port is asked for, with whatever happens at this point."""
        if self.asleep:
            return do()
        number, self.count = self.count, self.count + 1
        fault = self.faults.get(number)
        if fault is None:
            return do()
        self.met += 1
        if fault.kind == "before":
            raise Killed
        if fault.kind == "busy":
            raise StorageBusy
        if fault.kind == "meanwhile":
            if meanwhile:
                self._other(fault)
            found = do()
            if not meanwhile:
                self._other(fault)
            return found
        found = do()
        if fault.kind == "after":
            raise Killed
        raise StorageBusy

    def _other(self, fault: Fault) -> None:
        assert fault.act is not None
        self.asleep = True
        try:
            fault.act(self.world)
        except Killed:
            pass
        finally:
            self.asleep = False


class Through:
    """Any port, each of whose methods is a point."""

    def __init__(self, points: Points, inner: Any) -> None:
        self._points = points
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found
        return lambda *args, **more: self._points.at(lambda: found(*args, **more))


Mood = Callable[[Sequence[Outgoing], Random], str]
"""How a provider takes a call: `ok`, `busy`, `dead` (fails before), `mute` (sends and fails), `garbage` (sends and
talks nonsense), `mixed`, `shuffled` (refuses the first and answers in another order)."""


@dataclass
class Stub:
    """A provider that keeps what it got, and has moods.

    Attributes:
        seconds: it takes one message a request, and each takes it so long; 0: it takes all at once.
    """

    world: "World"
    idempotent: bool
    batch_max: int
    mood: Mood
    seconds: float = 0.0
    name: str = "stub"
    channel: str = CHANNEL
    got: list[tuple[str, int]] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    def cost_micro(self, outgoing: Outgoing) -> int:
        """See `Provider.cost_micro`."""
        return 7

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`. What happens meanwhile happens once the messages are out."""
        if self.seconds:
            return in_calls(batch, singly(batch), self._slowly, self.cost_micro, look)
        answer: tuple[Result, ...] = self.world.points.at(lambda: self._sent(batch), meanwhile=False)
        return answer

    def _slowly(self, group: Sequence[Outgoing]) -> Sequence[Result]:
        answer: tuple[Result, ...] = self.world.points.at(lambda: self._sent(group), meanwhile=False)
        self.world.wait(self.seconds)
        return answer

    def _sent(self, batch: Sequence[Outgoing]) -> tuple[Result, ...]:
        mood = self.mood(batch, self.world.chance)
        self.calls.append(self.world.tick())
        if mood == "busy":
            raise ProviderBusy("down", retry_after=20)
        if mood == "dead":
            self.world.blurred = True
            raise TimeoutError
        if mood == "mixed":
            return tuple(map(self._mixed, batch))
        if mood == "shuffled":
            return tuple(reversed([self._refused_first(at, each) for at, each in enumerate(batch)]))
        for each in batch:
            self._take(each)
        if mood == "ok":
            return tuple(self._result(each) for each in batch)
        self.world.blurred = True
        if mood == "mute":
            raise ConnectionResetError
        return (Result("nobody", "sent"), *(Result(each.delivery_id[:-1], "sent") for each in batch[1:]))

    def _take(self, outgoing: Outgoing) -> None:
        self.got.append((outgoing.delivery_id, self.world.tick()))

    def _result(self, outgoing: Outgoing) -> Result:
        return Result(outgoing.delivery_id, "sent", cost_micro=7)

    def _refused_first(self, at: int, outgoing: Outgoing) -> Result:
        if at == 0 and not any(name == outgoing.delivery_id for name, _ in self.got):
            return Result(outgoing.delivery_id, "refused", code="no")
        self._take(outgoing)
        return self._result(outgoing)

    def _mixed(self, outgoing: Outgoing) -> Result:
        became = self.world.chance.choice(("sent", "sent", "refused", "not_sent", "unknown", "lost"))
        if became == "sent" or (became == "lost" and outgoing.delivery_id):
            self._take(outgoing)
        if became == "sent":
            return self._result(outgoing)
        if became == "refused" and not any(name == outgoing.delivery_id for name, _ in self.got):
            return Result(outgoing.delivery_id, "refused", code="no")
        if became == "not_sent":
            return Result(outgoing.delivery_id, "not_sent", code="later")
        self.world.blurred = True
        return Result(outgoing.delivery_id, "unknown", code="?")


class Reach:
    """Who has opted out, and the log of it."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.log: dict[str, str] = {}
        self.out: dict[str, int] = {}

    def changed(self, since: datetime, now: datetime) -> Mapping[str, str]:
        """See `ports.Reach`."""
        return dict(self.log)

    def standing(self, member_ids: Sequence[str], purpose: str, channel: str) -> Mapping[str, Standing]:
        """See `ports.Reach`."""
        return {
            each: Standing(Outcome.NO_CONSENT if each in self.out else None, self.world.contact(each))
            for each in member_ids
        }

    def suppressed(self, channel: str, address: str) -> bool:
        """See `ports.Reach`."""
        return address.startswith("bounced")


class Pace:
    """A pacer that now and then says to wait."""

    def __init__(self, world: "World") -> None:
        self.world = world

    def take(self, channel: str, n: int, cost_micro: int, now: datetime) -> Go | Wait:
        """See `ports.Pace`."""
        if self.world.slow and self.world.chance.random() < 0.3:
            return Wait(now + timedelta(seconds=self.world.chance.choice((1, 40))), "rate")
        return Go()

    def went(self, channel: str, what: Any, now: datetime) -> None:
        """See `ports.Pace`."""

    def give_back(self, now: datetime) -> None:
        """See `ports.Pace`."""


class Giver:
    """Gives points once for a key, and not to everybody."""

    def __init__(self) -> None:
        self.given: Counter[str] = Counter()

    def give(self, key: str, member_id: str, gift: Gift, now: datetime) -> bool:
        """See `ports.Giver`."""
        if member_id.endswith("e"):
            return False
        self.given[key] = 1
        return True


class World:
    """Everything that there is: state, ports, queue, clock.

    Attributes:
        blurred: a provider left it open whether messages went out.
    """

    def __init__(
        self,
        *,
        sizes: Sequence[int] = (7,),
        idempotent: bool = False,
        batch_max: int = 3,
        mood: Mood = lambda batch, chance: "ok",
        faults: Mapping[int, Fault] | None = None,
        seed: int = 1,
        slow: bool = False,
        hours: Sequence[int] = (),
        seconds: float = 0.0,
        **run: Any,
    ) -> None:
        self.chance, self.slow, self.blurred = Random(seed), slow, False
        self.clock = Clock(NOON)
        self.core, self.ops, self.objects = MemoryTable(), MemoryTable(), MemoryObjects()
        self.points = Points(self, dict(faults or {}))
        self.reach, self.giver = Reach(self), Giver()
        self.provider: Stub | None = Stub(self, idempotent, batch_max, mood, seconds)
        self.words = Words()
        self.rows: dict[str, list[Row]] = {}
        self.ticks = itertools.count(1)
        self.paused_at: list[int] = []
        self.workers = itertools.count(1)
        self.killed = 0
        self.plan(sizes, hours, run)

    def plan(self, sizes: Sequence[int], hours: Sequence[int], run: Mapping[str, Any]) -> None:
        """Write the plan of a run, and put its parts into the queue."""
        self.members: list[str] = []
        self.queue: list[tuple[datetime, int, int]] = []
        self._messages = itertools.count()
        for number, size in enumerate(sizes):
            some = [self._recipient(len(self.members) + at, hours) for at in range(size)]
            self.members += [each.member_id for each in some]
            part = Part(RUN, number, CHANNEL, tuple(some))
            self.objects.put(rules.part_key(RUN, number), rules.part_file(part), kind="application/gzip")
            self.push(number, 0)
        made = Run(
            RUN, "campaign", "cmp_aaaaaaaaaaaaaaaa", "once", RunStatus.SENDING, "marketing",
            (Wording("a", CHANNEL, "tpl_aaaaaaaaaaaaaaaa", 1),), NOON - timedelta(hours=25),
            NOON + timedelta(days=2), "Asia/Shanghai", parts=len(sizes), planned=sum(sizes),
        )  # fmt: skip
        self.core.commit([store.add_run(replace(made, **run))])

    def _recipient(self, number: int, hours: Sequence[int]) -> Recipient:
        member = "mem_" + "aaaaaaaaaaaaaa" + _ORDINALS[number // 32] + _ORDINALS[number % 32]
        sealed = base64.b64encode(CLEAR + json.dumps(self.contact(member)).encode()).decode()
        hour = hours[number % len(hours)] if hours else 0
        at = int((NOON + timedelta(minutes=hour)).timestamp() * 1000) if hour else 0
        return Recipient(member, number, "", "a", sealed, {"points": "5"}, at)

    @staticmethod
    def contact(member: str) -> dict[str, Any]:
        """Contact data of a member."""
        return {"name": "王小明", "email": f"{member}@example.com"}

    def tick(self) -> int:
        """The next moment: what has a lower one happened before."""
        return next(self.ticks)

    # ------------------------------------------------------------ what happens

    def push(self, part: int, seconds: float) -> None:
        """Put a message into the queue."""
        heapq.heappush(self.queue, (self.clock() + timedelta(seconds=seconds), next(self._messages), part))

    def opt_out(self, member: str) -> None:
        """A member opts out, and is told so."""
        self.reach.log[member] = f"{next(self.ticks):08d}"
        self.reach.out.setdefault(member, next(self.ticks))

    def change(self, status: RunStatus) -> None:
        """Pause, resume or cancel the run."""
        run = store.find_run(self.core, RUN)
        assert run is not None
        if run.status in (RunStatus.SENT, RunStatus.CANCELLED):
            return
        self.core.commit([store.replace_run(run, status)])
        if status is RunStatus.PAUSED:
            self.paused_at.append(self.tick())
        else:
            for part in range(run.parts):
                self.push(part, 0)

    def office(self) -> Office:
        """The office of a new worker."""
        through = self.points
        provider: Any = self.provider
        return Office(
            table=Through(through, self.core),
            ops=Through(through, self.ops),
            objects=Through(through, self.objects),
            contacts=Through(through, ClearContacts()),
            words=self.words,
            reach=Through(through, self.reach),
            providers={CHANNEL: provider} if provider is not None else {},
            pace=Through(through, Pace(self)),
            append=lambda name, rows, now: through.at(lambda: self._append(name, rows)),
            worker=f"w{next(self.workers)}",
            clock=self.clock,
            pause=self.wait,
            links=Links(),
            giver=Through(through, self.giver),
        )

    def _append(self, name: str, rows: Sequence[Row]) -> None:
        self.rows[name] = list(rows)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.now = self.clock.now + timedelta(seconds=seconds)

    def work(self, part: int) -> float | None:
        """Have a worker receive a message; seconds until it is seen again, None when it is done with."""
        try:
            ended = parts.work_part(
                self.office(), PartMessage(run_id=RUN, part=part), ends_at=self.clock() + TIME_LIMIT
            )
        except Killed:
            self.killed += 1
            return VISIBILITY.total_seconds()
        except StorageBusy:
            return VISIBILITY.total_seconds()
        return None if isinstance(ended, Ended) else float(ended.seconds)

    def drain(self, most: int = 3_000) -> None:
        """Have workers receive messages until there are none."""
        for _ in range(most):
            if not self.queue:
                return
            at, _, part = heapq.heappop(self.queue)
            self.clock.now = max(self.clock.now, at)
            again = self.work(part)
            if again is not None:
                self.push(part, again)
        raise AssertionError("the queue does not come to an end")

    # ------------------------------------------------------------ what came of it

    def wrong(self, *, ended: RunStatus = RunStatus.SENT) -> list[str]:
        """What does not hold."""
        return list(self._wrong(ended))

    def _wrong(self, ended: RunStatus) -> Any:
        run = store.find_run(self.core, RUN)
        assert run is not None and self.provider is not None
        if run.status is not ended:
            yield f"run is {run.status}"
        got, became = Counter(name for name, _ in self.provider.got), self._outcomes(run)
        names = {self._name(run, member): member for member in self.members}
        if set(got) - set(names):
            yield "somebody was sent to who was not planned"
        if len(became) != len(self.members):
            yield f"lost: {len(self.members) - len(became)} of {len(self.members)}"
        for name, member in names.items():
            yield from self._wrong_about(member, got[name], became.get(member, Outcome.OPEN))
        yield from self._wrong_sums(run, became)
        yield from self._wrong_times(names)

    def _wrong_about(self, member: str, got: int, outcome: Outcome) -> Any:
        assert self.provider is not None
        if outcome.pending:
            yield f"{member} is not decided"
        if got > 1 and not self.provider.idempotent:
            yield f"{member} was sent to {got} times"
        if outcome is Outcome.SENT and not got:
            yield f"{member} is said to be sent to, and is not"
        if got and outcome not in (Outcome.SENT, Outcome.UNKNOWN):
            yield f"{member} was sent to, and is said to be {outcome.name}"
        if outcome is Outcome.UNKNOWN and self.provider.idempotent and member not in self.reach.out:
            run = store.find_run(self.core, RUN)
            if run is not None and run.status is not RunStatus.CANCELLED and self.clock() < run.send_until:
                yield f"{member} is unknown, though the provider could be asked"
        if outcome is Outcome.UNKNOWN and not self.blurred and not self.points.met:
            yield f"{member} is unknown, and nothing happened"

    def _wrong_sums(self, run: Run, became: Mapping[str, Outcome]) -> Any:
        counts = Counter(became.values())
        total = rules.summed(store.find_counts(self.ops, RUN))
        if {each: total[f"o_{each.name.lower()}"] for each in counts} != counts or total["parts"] != run.parts:
            yield f"counters say {dict(total)}, the parts {dict(counts)}"
        rows = {row["row_id"]: row for rows in self.rows.values() for row in rows}
        said = {row["member_id"]: (row["outcome"], row["reason"]) for row in rows.values()}
        if said != {member: (each.kind, each.reason) for member, each in became.items()}:
            yield "the lake says something else"
        several = {(row["row_id"], row["outcome"]) for rows in self.rows.values() for row in rows}
        if len(several) != len(rows):
            yield "the lake was told two outcomes of somebody"

    def _wrong_times(self, names: Mapping[str, str]) -> Any:
        assert self.provider is not None
        for name, at in self.provider.got:
            if at > self.reach.out.get(names[name], at):
                yield f"{names[name]} was sent to after opting out"
        for at in self.paused_at[:1]:
            if not self.resumed and sum(each > at for each in self.provider.calls) > 1:
                yield "calls went on after a pause"

    resumed = False

    def _outcomes(self, run: Run) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        for number in range(run.parts):
            item = self.ops.items.get(keys.sent_part(RUN, number))
            content = self.objects.get(rules.part_key(RUN, number))
            assert content is not None
            letters = store.part_state(item).outcomes if item is not None else ""
            for recipient, letter in zip(rules.part_from(content).recipients, letters, strict=False):
                found[recipient.member_id] = rules.outcome_of(letter)
        return found

    def outcomes(self) -> Counter[Outcome]:
        """How many have each outcome."""
        run = store.find_run(self.core, RUN)
        assert run is not None
        return Counter(self._outcomes(run).values())

    @staticmethod
    def _name(run: Run, member: str) -> str:
        return rules.delivery_id(run.run_id, run.source_id, run.step, member, CHANNEL)
