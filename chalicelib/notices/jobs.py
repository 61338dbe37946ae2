"""The function that the queue of notices feeds."""

from typing import Any

from chalicelib.kernel.errors import Trouble
from chalicelib.notices import service
from chalicelib.notices.sender import Outbox
from chalicelib.programs.service import book_of
from chalicelib.relay.models import event_from
from chalicelib.runtime.observe import logger
from chalicelib.runtime.wiring import house


def send_notices(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Tell members what events say; messages that failed are named, and the queue gives them again."""
    here, failed, sent = house(), [], 0
    program = book_of(here.table).current(here.clock())
    for message in event["Records"]:
        try:
            told = event_from(message["body"])
            sent += service.tell(here.table, here.keyring, program, Outbox(here.objects), told) is not None
        except Trouble as trouble:
            logger().warning("send_notices", code=trouble.code, message_id=message["messageId"])
            failed.append(message["messageId"])
        except Exception as fault:  # noqa: BLE001 - the edge; its words may hold personal data
            logger().error("send_notices", bug=type(fault).__name__, message_id=message["messageId"])
            failed.append(message["messageId"])
    logger().info("send_notices", messages=len(event["Records"]), sent=sent, failed=len(failed))
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}
