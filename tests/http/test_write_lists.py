"""What a caller can write: every body takes the fields that it names and no others, down to the last nested one."""

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from chalicelib.api.policy import POLICY
from chalicelib.api.routing import ROUTES, Route
from chalicelib.identity.permissions import Permission, Scope

OURS = {
    "account_id", "asked_at", "asked_by", "balance_after", "content", "decided_at", "decided_by", "entry_id", "hash",
    "head", "holders", "joined_at", "lapses_at", "merged_into", "recorded_at", "seq", "staff_id",
    "status", "points_earned", "tier", "tier_id", "attempts",
}  # fmt: skip
"""What the house alone decides: no body has it."""

MINDED = {
    "roles": (Permission.STAFF_MANAGE, Scope.ALL),
    "shop_ids": (Permission.STAFF_MANAGE, Scope.ALL),
    "issuer": (Permission.STAFF_MANAGE, Scope.ALL),
    "subject": (Permission.STAFF_MANAGE, Scope.ALL),
    "permissions": (Permission.ROLES_MANAGE, Scope.ALL),
    "ladder": (Permission.PROGRAM_PUBLISH, Scope.SHOP),
    "approvals": (Permission.PROGRAM_PUBLISH, Scope.SHOP),
    "qualifying_points": (Permission.POINTS_ADJUST, Scope.SHOP),
    "reason_code": (Permission.POINTS_ADJUST, Scope.SHOP),
    "forfeit_points": (Permission.MEMBERS_STATUS, Scope.SHOP),
}
"""Fields that only some may set, and what they need: which routes take them follows from it."""

ALSO = {
    ("/integration-keys", field): (Permission.INTEGRATIONS_MANAGE, Scope.SHOP) for field in ("permissions", "shop_ids")
} | {
    ("/suppressions", "reason_code"): (Permission.SUPPRESSIONS_MANAGE, Scope.ALL),
    ("/templates", "subject"): (Permission.TEMPLATES_WRITE, Scope.ALL),
    ("/templates/{template_id}", "subject"): (Permission.TEMPLATES_WRITE, Scope.ALL),
    ("/segments", "shop_ids"): (Permission.SEGMENTS_MANAGE, Scope.ALL),
    ("/segments/{segment_id}", "shop_ids"): (Permission.SEGMENTS_MANAGE, Scope.ALL),
    ("/segment-counts", "shop_ids"): (Permission.SEGMENTS_READ, Scope.SHOP),
    ("/journeys", "shop_ids"): (Permission.JOURNEYS_WRITE, Scope.ALL),
    ("/journeys/{journey_id}", "shop_ids"): (Permission.JOURNEYS_WRITE, Scope.ALL),
}
"""Fields of the same name that say something else: what a key may do, never more than who makes it; why an address is
not written to; the subject of a mail; in which shops somebody bought who is in a segment."""


def routes() -> list[Route]:
    """All routes."""
    import app

    assert app.app.app_name == "regulars"
    return ROUTES


def models_in(kind: Any, seen: frozenset[type[BaseModel]] = frozenset()) -> Iterator[type[BaseModel]]:
    """The models that a type is made of, itself among them; some are made of themselves."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if kind in seen:
            return
        yield kind
        for each in kind.model_fields.values():
            yield from models_in(each.annotation, seen | {kind})
        return
    for part in typing.get_args(kind):
        yield from models_in(part, seen)


def written(route: Route) -> set[type[BaseModel]]:
    """Every model that a request to a route can hold."""
    return {each for asked in (route.body, route.query) if asked for each in models_in(asked)}


def test_no_body_and_no_query_takes_a_field_that_it_does_not_name() -> None:
    found = {model for route in routes() for model in written(route)}
    assert len(found) > 60
    open_ = {model.__name__ for model in found if model.model_config.get("extra") != "forbid"}
    # What providers add to a callback's address, and whoever hands a link on to its end, is theirs.
    assert open_ == {"Signed", "OptOutShown"}


def test_no_body_sets_what_the_house_decides() -> None:
    ladder = {"tier_id"}  # the program names its tiers
    for route in routes():
        for model in written(route):
            named = set(model.model_fields) - (ladder if model.__name__ == "Tier" else set())
            allowed = {"status", "staff_id"} if route.method == "GET" else set()  # what a list is narrowed to
            assert named & OURS <= allowed, (route.path, model.__name__)


def test_what_only_some_may_set_is_in_their_routes_only() -> None:
    for route in routes():
        if route.method == "GET" or route.body is None:
            continue
        named = {field for model in written(route) for field in model.model_fields}
        rule = POLICY[f"{route.method} {route.path}"]
        for field in named & set(MINDED):
            wanted = ALSO.get((route.path, field), MINDED[field])
            assert (rule.needs, rule.least) == wanted, (route.path, field)


def test_a_model_that_takes_anything_would_be_found() -> None:
    class Open(BaseModel):
        name: str

    class Outer(BaseModel, extra="forbid"):
        parts: tuple[Open, ...] | None

    assert Open in set(models_in(Outer))
    assert Open.model_config.get("extra") != "forbid"
