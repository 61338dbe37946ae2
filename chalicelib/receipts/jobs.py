"""The function that the queue of SES' events feeds, where they come by EventBridge."""

from typing import Any

from chalicelib.lake.store import patching
from chalicelib.receipts import rules, service
from chalicelib.receipts.service import Desk
from chalicelib.runtime.observe import log_job
from chalicelib.runtime.wiring import house


def take_mail_events(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Take events of SES; messages that failed are named, and the queue gives them again."""
    here, failed, faults = house(), list[str](), list[Exception]()
    ask = patching(here.queues, here.settings.lake_queue, here.clock)
    desk = Desk.of(here.table, here.ops, here.keyring, here.objects, ask)
    counted = suppressed = 0
    for message in event["Records"]:
        try:
            told = rules.ses(rules.parsed("ses", message["body"].encode()))
            taken = service.take(desk, "ses", told, now=here.clock())
            counted += taken.counted
            suppressed += taken.suppressed
        except Exception as fault:  # noqa: BLE001 - the edge
            faults.append(fault)
            failed.append(message["messageId"])
    facts = {"messages": len(event["Records"]), "counted": counted, "suppressed": suppressed, "failed": len(failed)}
    log_job("take_mail_events", facts, faults)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}
