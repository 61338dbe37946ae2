"""Routes that belong to no domain: is it up, what does it take, and who am I to it."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Literal

from chalicelib.api.routing import Call, Routes
from chalicelib.identity.models import Kind
from chalicelib.identity.permissions import Permission, Scope
from chalicelib.kernel.ids import ShopId
from chalicelib.kernel.records import Record

api = Routes("api")


class Health(Record):
    """The API is up."""

    status: str
    stage: str


@api.get("/health")
def get_health(call: Call) -> Health:
    """Whether the API answers."""
    return Health(status="ok", stage=call.house.settings.stage)


class Right(Record):
    """Something that the caller may do."""

    permission: Permission
    scope: Literal["self", "shop", "all"]
    """Whether it reaches to their own things, to their shops', or to all."""


class WhoAmI(Record):
    """Who the caller is here, and what they may do."""

    kind: Kind
    subject: str
    """What logs and records name them by."""
    name: str | None
    roles: list[str]
    shop_ids: list[ShopId]
    """Their shops, for rights that reach to those."""
    permissions: list[Right]


@api.get("/whoami")
def get_whoami(call: Call) -> WhoAmI:
    """Who I am here, and what I may do."""
    caller = call.caller
    assert caller is not None, "the policy lets nobody in who is not signed in"
    grants = sorted((each, scope) for each, scope in caller.grants.items() if caller.scope(each) is not None)
    return WhoAmI(
        kind=caller.kind,
        subject=caller.subject,
        name=caller.name or None,
        roles=list(caller.roles),
        shop_ids=sorted(caller.shop_ids),
        permissions=[Right(permission=each, scope=_SCOPES[scope]) for each, scope in grants],
    )


_SCOPES: Mapping[Scope, Literal["self", "shop", "all"]] = {
    Scope.SELF: "self", Scope.SHOP: "shop", Scope.ALL: "all",
}  # fmt: skip


@api.get("/openapi.json")
def get_openapi() -> str:
    """This API's OpenAPI 3.1 document."""
    return _document()


@cache
def _document() -> str:
    from chalicelib.api.openapi import document  # noqa: PLC0415 - 40 ms that only a reader of the document pays

    return json.dumps(document(), ensure_ascii=False)
