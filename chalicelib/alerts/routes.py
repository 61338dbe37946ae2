"""HTTP of alerts, and the eyes at the door."""

from chalicelib.alerts import service
from chalicelib.alerts.errors import AlertUnknown
from chalicelib.alerts.models import AcknowledgeAlert, Alert, AlertQuery, AlertState
from chalicelib.alerts.rules import REFUSED, Tally
from chalicelib.api.routing import Call, Routes, Turned
from chalicelib.kernel.ids import AlertId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page
from chalicelib.runtime.observe import log_fact
from chalicelib.runtime.wiring import House

alerts = Routes("alerts")

TALLY = Tally()
"""What this process has counted."""


class AlertPage(Page[Alert]):
    """A page of alerts."""


@alerts.get("/alerts", refuses=(CursorInvalid,))
def list_alerts(query: AlertQuery, call: Call) -> AlertPage:
    """Alerts, newest first: those that are open, or those that somebody has seen to."""
    scope = ("alerts", query.state)
    part = service.list_alerts(
        call.house.table, AlertState(query.state), after=call.position(query.cursor, *scope), limit=query.limit
    )
    return call.page(part, AlertPage, *scope)


@alerts.post("/alerts/{alert_id}/acknowledgements", refuses=(AlertUnknown,))
def acknowledge_alert(alert_id: AlertId, body: AcknowledgeAlert, call: Call) -> Outcome[Alert]:
    """Say that somebody has seen to an alert; the first who says so is named."""
    assert call.caller is not None
    return service.acknowledge_alert(call.house.table, alert_id, body, by=call.caller.subject, now=call.now)


def _watch(house: House, turned: Turned) -> None:
    if turned.code in REFUSED:
        service.note_refusal(
            house.table, house.ops, TALLY,
            code=turned.code, subject=turned.subject, ip=turned.ip, now=turned.now, tell=log_fact,
        )  # fmt: skip


alerts.watching(_watch)
