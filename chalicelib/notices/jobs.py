"""The function that the queue of notices feeds."""

from typing import Any

from chalicelib.notices import service
from chalicelib.notices.sender import Outbox, Sender
from chalicelib.programs.models import Program
from chalicelib.programs.service import book_of
from chalicelib.relay.models import event_from
from chalicelib.runtime.observe import log_fact, log_job
from chalicelib.runtime.wiring import House, house


def send_notices(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Tell members what events say; messages that failed are named, and the queue gives them again."""
    here, sent = house(), 0
    failed: list[str] = []
    faults: list[Exception] = []
    program = book_of(here.table).current(here.clock())
    sender = _sender(here, program)
    links_at = here.settings.public_url if here.settings.signs_opt_outs else None
    for message in event["Records"]:
        try:
            told = event_from(message["body"])
            notice = service.tell(here.table, here.ops, here.keyring, program, sender, told, links_at=links_at)
            sent += notice is not None
        except Exception as fault:  # noqa: BLE001 - the edge
            faults.append(fault)
            failed.append(message["messageId"])
    log_job("send_notices", {"messages": len(event["Records"]), "sent": sent, "failed": len(failed)}, faults)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def _sender(here: House, program: Program) -> Sender:
    """What brings notices: the providers of their channels, where any is set up, else the outbox."""
    outbox = Outbox(here.objects)
    if not here.providers:
        return outbox
    from chalicelib.notices.provided import Provided  # noqa: PLC0415 - a stack without providers needs none of it
    from chalicelib.providers.pace import Pacer  # noqa: PLC0415

    # A notice is one message, and workers are many: nobody takes more of a channel's rate than it uses.
    pacer = Pacer(here.ops, here.limits, program.time_zone, lease=False)

    return Provided(here.providers, here.ops, pacer, outbox, log_fact, here.clock)
