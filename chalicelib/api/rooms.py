"""Which domain has which route, so that a function that starts imports what it was asked for, and not the whole house.

A cold start used to import every domain before it answered its first purchase. Now the app knows from `doors.py`, which
is generated from the routes, where each path leads, and a domain's routes are declared when the first request for one
of them comes. What tills wait for is imported at the start all the same (`app.py`): then it costs no request anything.
"""

from importlib import import_module
from types import ModuleType

ROOMS = (
    "api",
    "programs",
    "consents",
    "members",
    "points",
    "holds",
    "purchases",
    "transfers",
    "pools",
    "cards",
    "merges",
    "corrections",
    "decisions",
    "reach",
    "templates",
    "segments",
    "campaigns",
    "deliveries",
    "journeys",
    "privacy",
    "proof",
    "liability",
    "staff",
    "jobs",
    "signin",
    "integrations",
    "receipts",
    "audit",
    "alerts",
)
"""Every domain that has routes, in the order in which documents list them."""


def routes_of(room: str) -> ModuleType:
    """The module of a domain's routes; they are declared when it is imported for the first time."""
    return import_module(f"chalicelib.{room}.routes")


def everything() -> None:
    """Declare all routes: for whoever lists them."""
    for room in ROOMS:
        routes_of(room)
