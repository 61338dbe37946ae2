"""A right that reaches to shops reaches nowhere for who has none."""

import pytest

from chalicelib.api.routing import ROUTES
from chalicelib.identity.models import Caller, Kind, Owner, reaches
from chalicelib.identity.permissions import ROLES, Permission, Scope
from tests.makers import Api, a_token


def homeless(api: Api, role: str) -> Api:
    """Somebody with a role and no shop."""
    return api.with_(a_token(api.token_key, api.issuer, api.audience, api.clock(), role, shop_id=None))


@pytest.mark.parametrize("role", [role for role, grants in ROLES.items() if Scope.SHOP in grants.values()])
def test_who_has_no_shop_reads_and_does_nothing(api: Api, role: str) -> None:
    member = api.enrol(mobile="+8613800138000")
    who = homeless(api, role)
    path = f"/v1/members/{member['member_id']}"
    adjustment = {"points": 10, "reason_code": "goodwill"}
    for reply in (
        who.get(path),
        who.get("/v1/members", mobile="+8613800138000"),
        who.post(f"{path}/point-adjustments", adjustment, key="k"),
        who.post(f"{path}/unmaskings", {"fields": ["mobile"], "reason": "curious"}),
        who.get("/v1/approvals"),
    ):
        assert (reply.status, reply.code) == (403, "permission_missing"), reply.text
    assert who.get("/v1/whoami").json["permissions"] == []


def test_neither_a_shop_nor_the_chain_is_reached_by_who_has_no_shop() -> None:
    caller = Caller(Kind.STAFF, "stf_x", ("clerk",), ROLES["clerk"])
    assert not reaches(caller, Scope.SHOP, Owner())
    assert caller.within(Permission.MEMBERS_READ) == frozenset(), "not: as far as one likes"
    assert all(caller.scope(route.rule.needs) is None for route in ROUTES if route.rule.needs is not None)
