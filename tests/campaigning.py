"""What it takes to send a campaign by the API: a provider, a body, a lake that is up to date."""

from collections.abc import Sequence
from typing import Any

from chalicelib.lake import folding, service
from chalicelib.lake import store as lake_store
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, everyone
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import Api
from tests.table.stand import scan


class Post:
    """A provider that keeps what it got."""

    name, channel, batch_max, idempotent = "stub", "email", 10, False

    def __init__(self) -> None:
        self.got: list[Outgoing] = []

    def cost_micro(self, outgoing: Outgoing) -> int:
        """See `Provider.cost_micro`."""
        return 0

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`."""
        self.got += batch
        return tuple(Result(each.delivery_id, "sent") for each in batch)


def a_body(api: Api, **fields: Any) -> dict[str, Any]:
    """The body of a campaign by e-mail to champions, or whoever is said."""
    said = {"channel": "email", "zh": {"subject": "春天", "html": "<p>{{points}} 分</p>"}}
    template = api.post("/v1/templates", {"name": "t", "purpose": "marketing", "contents": said}, key="t1").json
    leaf = {"kind": "field", "name": "points", "op": "at_least", "value": 0}
    segment = api.post("/v1/segments", {"name": "Everybody", "definition": leaf}, key="s1").json
    return {
        "name": "Spring", "segment_id": segment["segment_id"], "schedule": {"kind": "now"}, "quiet_hours": None,
        "variants": [{"name": "a", "template_ids": [template["template_id"]]}], **fields,
    }  # fmt: skip


def fold(house: House, dynamo: Dynamo) -> None:
    """Bring the lake up to what the table has."""
    assert isinstance(house.table, DynamoTable)
    items = list(scan(dynamo, house.table.name).values())
    rows = [
        row for each in items if folding.is_wanted(each["pk"], each["sk"], each) for row in folding.rows_of_item(each)
    ]
    lake_store.keep_batch(house.objects, [lake_store.line_of(row) for row in rows], now=house.clock())
    lake = service.Lake(house.ops, house.objects, house.place, house.draw)
    service.patch(lake, today=house.clock().date(), now=house.clock())
