"""The functions of journeys: one takes events, one does steps, and one hands on, each minute, whose turn it is.

How a message ends. A way that fails is tried again later by its own timer and given up at last, so no message of the
queue of steps wears out by one member's fault; only what could not even be written down is asked for again.
"""

import json
from datetime import datetime, timedelta
from typing import Any

from chalicelib.deliveries.jobs import office
from chalicelib.deliveries.service.neighbours import MemberReach
from chalicelib.journeys import store
from chalicelib.journeys.models import Ref, Told
from chalicelib.journeys.ports import Works
from chalicelib.journeys.rules import intake
from chalicelib.journeys.service import messages, ticking
from chalicelib.journeys.service.editions import Editions
from chalicelib.journeys.service.managing import enter_listed
from chalicelib.journeys.service.neighbours import DeliveryPost, Foresight, works_of
from chalicelib.journeys.service.taking import Taker
from chalicelib.kernel.ids import JourneyId, MemberId, is_member
from chalicelib.programs.service import book_of
from chalicelib.relay.models import event_from
from chalicelib.runtime.observe import log_fact, log_job
from chalicelib.runtime.settings import LOCAL_STAGES, SettingsWrong
from chalicelib.runtime.wiring import House, house

MARGIN = timedelta(seconds=10)
STANDARD = timedelta(seconds=45)
"""Where nobody says how long a function may take."""


def take_events(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Take events; those that failed are named, and the queue gives them again."""
    taker = Taker(works(house(), None))
    failed, faults, entered = list[str](), list[Exception](), 0
    for message in event["Records"]:
        try:
            entered += _taken(taker, message["body"])
        except SettingsWrong:
            raise
        except Exception as fault:  # noqa: BLE001 - the edge
            faults.append(fault)
            failed.append(message["messageId"])
    log_job("take_events", {"messages": len(event["Records"]), "entered": entered, "failed": len(failed)}, faults)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def _taken(taker: Taker, body: str) -> int:
    told = event_from(body)
    if told.member_id is None or not is_member(told.member_id):
        return 0
    member_id = MemberId(told.member_id)
    if told.type in intake.GONE:
        taker.settle(member_id)
        return 0
    kind = intake.KINDS.get(told.type)
    if kind is None:
        return 0
    facts = told.data.model_dump(mode="json")
    return taker.take(intake.told_of(kind, told.event_id, member_id, told.recorded_at, facts))


def do_steps(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Do steps; messages of which something could not be done are named, and the queue gives them again."""
    failed, faults, done = list[str](), list[Exception](), 0
    waiting: dict[str | None, list[tuple[str, dict[str, Any]]]] = {}
    for message in event["Records"]:
        try:
            body = json.loads(message["body"])
            waiting.setdefault(body.get("clock"), []).append((message["messageId"], body))
        except (ValueError, AttributeError) as fault:
            faults.append(fault)
            failed.append(message["messageId"])
    for at, some in waiting.items():
        taker = Taker(works(house(), at, sends=True))
        done += _stepped(taker, some, failed, faults)
    log_job("do_steps", {"messages": len(event["Records"]), "ways": done, "failed": len(failed)}, faults)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in dict.fromkeys(failed)]}


def _stepped(taker: Taker, some: list[tuple[str, dict[str, Any]]], failed: list[str], faults: list[Exception]) -> int:
    refs: dict[Ref, list[str]] = {}
    candidates: dict[tuple[JourneyId, int], list[tuple[str, Told]]] = {}
    for name, body in some:
        try:
            if "do" in body:
                for ref in store.refs_from(body):
                    refs.setdefault(ref, []).append(name)
            elif "candidate" in body:
                journey_id, edition, told = messages.candidate_from(body)
                candidates.setdefault((journey_id, edition), []).append((name, told))
            else:
                enter_listed(taker, body)
        except SettingsWrong:
            raise
        except Exception as fault:  # noqa: BLE001 - the edge
            faults.append(fault)
            failed.append(name)

    for (journey_id, edition), some_told in candidates.items():
        try:
            taker.enter_fitting(journey_id, edition, [told for _, told in some_told])
        except SettingsWrong:
            raise
        except Exception as fault:  # noqa: BLE001 - the edge
            faults.append(fault)
            failed += [name for name, _ in some_told]

    def again(ref: Ref, fault: Exception) -> None:
        faults.append(fault)
        failed.extend(refs[ref])

    try:
        taker.stepper.work(list(refs), again)
    except SettingsWrong:
        raise
    except Exception as fault:  # noqa: BLE001 - the edge: nothing could be read
        faults.append(fault)
        failed += [name for names in refs.values() for name in names]
    return len(refs)


def tick_journeys(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Hand on all who are due by now; on a laptop, by an instant that is yet to come: `{"at": "2030-05-01T08:00:00Z"}`.

    Raises:
        StorageBusy: the next minute does the rest.
    """
    here = works(house(), event.get("at"))
    if event.get("at") is not None:
        done = ticking.look_ahead(here)
    else:
        ask = getattr(context, "get_remaining_time_in_millis", None)
        left = timedelta(milliseconds=ask()) - MARGIN if ask is not None else STANDARD
        done = ticking.tick(here, ends_at=here.clock() + left)
    facts = {"lists": done.lists, "handed": done.handed, "swept": done.swept}
    log_job("tick_journeys", facts, [])
    return facts


def works(here: House, at: str | None, *, sends: bool = False) -> Works:
    """Where this process walks journeys.

    Args:
        at: an instant from which its clock goes, on a laptop: to see what a journey will do. By it journeys decide;
            what others share (pace, money, claims, the ledger, profiles) keeps to the house's clock.
        sends: whether this function sends messages.
    """
    queue, book, ahead = here.settings.journey_queue, book_of(here.table), shift(here, at)

    def hand(bodies: Any, delay: int) -> None:
        if queue is None:
            raise SettingsWrong("the environment variable REGULARS_JOURNEY_QUEUE is not set")
        if at is not None:
            # Who is told later is told by a clock that shows later.
            shown = (datetime.fromisoformat(at) + timedelta(seconds=delay)).isoformat()
            bodies = [json.dumps({**json.loads(body), "clock": shown}) for body in bodies]
        here.queues.send(queue, bodies, delay=delay)

    def clock() -> datetime:
        return here.clock() + ahead

    post: Foresight = Foresight(here.ops, MemberReach(here.table, here.keyring), book)
    if sends:
        desk = office(here)
        post = DeliveryPost(here.ops, desk.reach, book, desk, here.keyring, Editions(here.table), ahead)
    return works_of(here.table, here.ops, here.keyring, here.functions, post, hand, clock, log_fact, ahead=ahead)


def shift(here: House, at: str | None) -> timedelta:
    """How far the clock that shows an instant is ahead of the house's; it goes on from there.

    Raises:
        SettingsWrong: only a laptop's clock can be shifted.
    """
    if at is None:
        return timedelta(0)
    if here.settings.stage not in LOCAL_STAGES:
        raise SettingsWrong("only a laptop's clock can be shifted")
    return datetime.fromisoformat(at) - here.clock()
