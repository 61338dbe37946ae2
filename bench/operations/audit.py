"""Operations of the audit trail, of alerts, and of the watch that feeds both.

What an audit record costs its command is in the figures of the commands: three write units, and no trip.
"""

from datetime import date
from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene
from chalicelib.alerts import store as alerts
from chalicelib.alerts.models import AlertKind, Raised
from chalicelib.relay.models import Change
from chalicelib.relay.service import bus_event, telling_of
from chalicelib.storage import keys
from chalicelib.watch.jobs import watch_events


def _suspended(scene: Scene) -> str:
    """Suspend the member; the id of the record."""
    scene.post(f"/v1/members/{scene.member}/suspensions", {"reason": "lost card"})
    newest: str = scene.get(f"/v1/audit-entries?member_id={scene.member}&limit=1")["items"][0]["audit_id"]
    return newest


def _told(scene: Scene, key: keys.Key) -> str:
    """The first event that the item under a key tells."""
    item = scene.house.table.get(key, consistent=True)
    assert item is not None
    return bus_event(telling_of(Change(True, key.pk, key.sk, item, "1")).events[0]).detail


def _watch(scene: Scene, *bodies: str) -> Any:
    records = [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]
    return scene.handle("watch.jobs.watch_events", watch_events, {"Records": records})


@operation("watch.jobs.watch_events", "chain an audit record")
def chain_record(scene: Scene) -> Metered:
    told = _told(scene, keys.audit_record(_suspended(scene).removeprefix("aud_")))
    return lambda: _watch(scene, told)


@operation("watch.jobs.watch_events", "an audit record that is chained already")
def chain_record_again(scene: Scene) -> Metered:
    again = chain_record(scene)
    again()
    return again


def _bought(scene: Scene, *numbers: int) -> list[str]:
    """Events of purchases in one shop, each by another member."""
    found: list[str] = []
    for number in numbers:
        basket = scene.basket(member={"member_id": scene.enrol(number)})
        scene.post("/v1/purchases", basket)
        found.append(_told(scene, keys.purchase(basket["channel"], basket["order_no"])))
    return found


@operation("watch.jobs.watch_events", "count the points of a purchase")
def count_purchase(scene: Scene) -> Metered:
    (told,) = _bought(scene, 1)
    return lambda: _watch(scene, told)


@operation("watch.jobs.watch_events", "count the points of ten purchases in one shop, by ten members")
def count_purchases(scene: Scene) -> Metered:
    told = _bought(scene, *range(1, 11))
    return lambda: _watch(scene, *told)


@operation("list_audit_entries", "what was done to a member")
def list_about_member(scene: Scene) -> Metered:
    _suspended(scene)
    return lambda: scene.get(f"/v1/audit-entries?member_id={scene.member}&limit=25")


@operation("list_audit_entries", "what somebody did")
def list_by_staff(scene: Scene) -> Metered:
    chain_record(scene)()
    return lambda: scene.get("/v1/audit-entries?staff_id=stf_bench&limit=25")


@operation("list_audit_entries", "what was done in a week, by anybody")
def list_in_a_week(scene: Scene) -> Metered:
    _suspended(scene)
    return lambda: scene.get("/v1/audit-entries?limit=25")


@operation("get_audit_entry", "an audit entry with its proof")
def get_audit_entry(scene: Scene) -> Metered:
    audit_id = _suspended(scene)
    _watch(scene, _told(scene, keys.audit_record(audit_id.removeprefix("aud_"))))
    return lambda: scene.get(f"/v1/audit-entries/{audit_id}")


def _raised(scene: Scene) -> str:
    raised = Raised(AlertKind.SELF_EARNING, "stf_clerk", date(2026, 3, 15), 40, 0)
    write = alerts.raise_alert(raised, scene.clock())
    scene.house.table.commit([write])
    return keys.alert_id(write.key)


@operation("list_alerts", "alerts that are open")
def list_alerts(scene: Scene) -> Metered:
    _raised(scene)
    return lambda: scene.get("/v1/alerts")


@operation("acknowledge_alert", "see to an alert")
def acknowledge_alert(scene: Scene) -> Metered:
    path = f"/v1/alerts/{_raised(scene)}/acknowledgements"
    return lambda: scene.post(path, {"reason": "talked to them"})
