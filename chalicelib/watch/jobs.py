"""The function that the queue of the watch feeds.

A batch is done as a whole: what it chains and counts is written in as few transactions as will do. Each event is known
by its id or its record, so a batch that comes again, whole or in part, changes nothing twice. Messages that cannot be
read fail alone; when the work on the others fails, all of them are named.
"""

from typing import Any

from chalicelib.alerts import service as alerts
from chalicelib.alerts.models import Deed, Gain
from chalicelib.audit import service as audit
from chalicelib.audit.models import ToChain
from chalicelib.programs.service import book_of
from chalicelib.relay.models import event_from
from chalicelib.runtime.observe import log_fact, log_job
from chalicelib.runtime.wiring import house
from chalicelib.watch import service


def watch_events(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Chain the audit records that events tell of, count the points that they give; messages that failed are named."""
    here, now = house(), house().clock()
    book = book_of(here.table)
    program = book.current(now)
    failed: list[str] = []
    faults: list[Exception] = []
    rows: list[ToChain] = []
    gains: list[Gain] = []
    deeds: list[Deed] = []
    read: list[str] = []
    for message in event["Records"]:
        try:
            told = event_from(message["body"])
            row, gain, deed = service.to_chain(told), service.gain_of(told, program), service.deed_of(told, program)
        except Exception as fault:  # noqa: BLE001 - the edge
            faults.append(fault)
            failed.append(message["messageId"])
            continue
        rows += [row] if row is not None else []
        gains += [gain] if gain is not None else []
        deeds += [deed] if deed is not None else []
        read.append(message["messageId"])
    try:
        late = audit.chain(here.table, rows, now=now)
        for mark in late:
            log_fact("audit", {"faulty": 1, "what": "the record was told after its day", "record": f"aud_{mark}"})
        alerts.count_gains(here.table, here.ops, book, gains, now=now, tell=log_fact)
        alerts.count_deeds(here.table, here.ops, book, deeds, now=now, tell=log_fact)
    except Exception as fault:  # noqa: BLE001 - the edge
        faults.append(fault)
        failed += read
    log_job("watch_events", {"messages": len(event["Records"]), "chained": len(rows), "failed": len(failed)}, faults)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}
