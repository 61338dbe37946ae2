"""The functions of deliveries: one that the queue of parts feeds, and one that asks the lake.

How a message ends. A part that has to wait (for its pace, for quiet hours to end, for its members' hour, for another
worker's lease) is sent anew with a delay, and this message is done with: a message that is only handed back wears out,
and a campaign may wait for a day. A refusal is a message that is done with: there is nothing to send by. Anything else
fails, is received again, and ends as a dead letter; why stands beside the run (`GET /v1/delivery-runs/…`).
"""

import secrets
import time
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from chalicelib.deliveries.models import PartMessage
from chalicelib.deliveries.ports import Office
from chalicelib.deliveries.service import parts, queueing, reading
from chalicelib.deliveries.service.neighbours import (
    MemberReach,
    PointsGiver,
    SignedLinks,
    TemplateWords,
    appending,
)
from chalicelib.deliveries.service.parts import Later
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.errors import Refusal, Trouble
from chalicelib.lake import duck
from chalicelib.lake import store as lake
from chalicelib.lake.errors import LakeMissing
from chalicelib.programs.models import Program
from chalicelib.programs.service import book_of
from chalicelib.providers.pace import Pacer
from chalicelib.providers.port import ProviderMisconfigured
from chalicelib.runtime.observe import log_job
from chalicelib.runtime.settings import SettingsWrong
from chalicelib.runtime.wiring import House, house

MARGIN = timedelta(seconds=40)
"""Before the function's time is up: a provider's answer is waited for, and everything is written down."""
STANDARD = timedelta(seconds=60)
"""Where nobody says how long a function may take."""


def send_parts(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Send parts of runs; messages that failed are named, and the queue gives them again."""
    here, failed, faults, told = house(), list[str](), list[Exception](), dict[str, int]()
    ends_at = here.clock() + _time_left(context)
    for message in event["Records"]:
        try:
            why = _sent(here, message["body"], ends_at)
            told[why] = told.get(why, 0) + 1
        except Refusal as refusal:
            told[refusal.code] = told.get(refusal.code, 0) + 1
        except SettingsWrong:
            raise
        except Exception as fault:  # noqa: BLE001 - the edge
            faults.append(fault)
            failed.append(message["messageId"])
    log_job("send_parts", {"messages": len(event["Records"]), **told, "failed": len(failed)}, faults)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def answer(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Answer what the lake knows of a member's deliveries: `{"member_id": …, "limit": …}`."""
    here = house()
    now = here.clock()
    today = local_day(now, book_of(here.table).current(now).time_zone)
    try:
        with duck.opened(here.place, lake.find_head(here.ops), today=today, now=now) as connection:
            return reading.answer(connection, event)
    except LakeMissing:
        return {"fault": "lake_missing"}


def _sent(here: House, body: str, ends_at: datetime) -> str:
    """Work on a part; how its message ended."""
    asked = PartMessage.model_validate_json(body)
    if here.settings.send_queue is None:
        raise SettingsWrong("the environment variable REGULARS_SEND_QUEUE is not set")
    try:
        ended = parts.work_part(office(here), asked, ends_at=ends_at)
    except Trouble as trouble:
        ended = Later(max(trouble.retry_after, parts.AGAIN), trouble.code)
    except Refusal:
        raise
    except Exception as fault:
        code = f": {fault.code}" if isinstance(fault, ProviderMisconfigured) else ""
        queueing.note_fault(here.ops, asked, type(fault).__name__ + code, now=here.clock())
        raise
    if isinstance(ended, Later):
        queueing.enqueue(here.queues, here.settings.send_queue, asked.run_id, [asked.part], delay=ended.seconds)
    return ended.why.replace(" ", "_")


def _time_left(context: Any) -> timedelta:
    ask = getattr(context, "get_remaining_time_in_millis", None)
    return timedelta(milliseconds=ask()) - MARGIN if ask is not None else STANDARD


def office(here: House) -> Office:
    """The office of this process, in a house: made anew when the program has another language or zone."""
    program = book_of(here.table).current(here.clock())
    which = id(here), program.language.value, program.time_zone
    if which not in KNOWN:
        KNOWN.clear()
        KNOWN[which] = here, _made(here, program)
    return KNOWN[which][1]


KNOWN: dict[tuple[int, str, str], tuple[House, Office]] = {}
"""The office in use, and its house: it remembers the log of changes and compiled templates from message to message."""


@cache
def _worker() -> str:
    return secrets.token_hex(8)


def _made(here: House, program: Program) -> Office:
    ask = lake.patching(here.queues, here.settings.lake_queue, here.clock)
    return Office(
        table=here.table,
        ops=here.ops,
        objects=here.objects,
        contacts=here.keyring.contacts,
        words=TemplateWords(here.table),
        reach=MemberReach(here.table, here.keyring),
        providers=here.providers,
        pace=Pacer(here.ops, here.limits, program.time_zone),
        append=appending(here.objects, "delivery", ask),
        worker=_worker(),
        clock=here.clock,
        pause=time.sleep,
        links=SignedLinks(
            here.keyring,
            here.settings.public_url if here.settings.signs_opt_outs else None,
            program.language.value,
        ),
        language=program.language.value,
        giver=PointsGiver(here.table, book_of(here.table)),
    )
