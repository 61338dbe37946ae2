"""HTTP of integration keys."""

from chalicelib.api.routing import Call, Routes
from chalicelib.integrations import service
from chalicelib.integrations.errors import (
    ExpiryOver,
    IntegrationKeyDiffers,
    IntegrationKeyOver,
    IntegrationKeyUnknown,
    RightsNotYours,
    RotationDiffers,
)
from chalicelib.integrations.models import (
    IntegrationKeyMade,
    IntegrationKeyView,
    MakeIntegrationKey,
    RevokeIntegrationKey,
    RotateIntegrationKey,
)
from chalicelib.kernel.ids import IntegrationKeyId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.programs.service import book_of

integrations = Routes("integrations")


class IntegrationKeyPage(Page[IntegrationKeyView]):
    """A page of integration keys."""


@integrations.post(
    "/integration-keys", keyed=True, status=201, refuses=(RightsNotYours, ExpiryOver, IntegrationKeyDiffers)
)
def make_integration_key(body: MakeIntegrationKey, call: Call) -> Outcome[IntegrationKeyMade]:
    """Make a key that a till or a partner calls with; it is shown in this answer and never again."""
    house = call.house
    assert call.caller is not None
    return service.make_key(
        house.table, book_of(house.table), call.key, body, call.caller, draw=house.draw, now=call.now
    )


@integrations.get("/integration-keys", refuses=(CursorInvalid,))
def list_integration_keys(query: Paging, call: Call) -> IntegrationKeyPage:
    """All integration keys, newest first, revoked ones too."""
    scope = ("integration-keys",)
    after = call.position(query.cursor, *scope)
    part = service.list_keys(call.house.table, after=after, limit=query.limit, now=call.now)
    return call.page(part, IntegrationKeyPage, *scope)


@integrations.get("/integration-keys/{key_id}", refuses=(IntegrationKeyUnknown,))
def get_integration_key(key_id: IntegrationKeyId, call: Call) -> IntegrationKeyView:
    """An integration key, without its secret."""
    return service.get_key(call.house.table, key_id, now=call.now)


@integrations.post(
    "/integration-keys/{key_id}/rotations",
    keyed=True,
    status=201,
    refuses=(IntegrationKeyUnknown, IntegrationKeyOver, RotationDiffers),
)
def rotate_integration_key(
    key_id: IntegrationKeyId, body: RotateIntegrationKey, call: Call
) -> Outcome[IntegrationKeyMade]:
    """Give a key another secret, shown in this answer and never again; the one before is good for the overlap."""
    house = call.house
    return service.rotate_key(house.table, key_id, call.key, body, draw=house.draw, now=call.now)


@integrations.post("/integration-keys/{key_id}/revocations", status=201, refuses=(IntegrationKeyUnknown,))
def revoke_integration_key(
    key_id: IntegrationKeyId, body: RevokeIntegrationKey, call: Call
) -> Outcome[IntegrationKeyView]:
    """Take a key back, for good; it bites within half a minute."""
    return service.revoke_key(call.house.table, key_id, body, now=call.now)
