"""The register of operations, and what of the product there is to measure.

    @operation("spend_points", "spend points")
    def spend_points(scene: Scene) -> Metered:
        return lambda: scene.post(f"/v1/members/{scene.member}/point-spends", {"points": 40}, key="s1")

The function sets the scene, unmetered, and gives the call to be metered. The first word names the way into the product:
a route by its function, a function of a queue or schedule by its module (`jobs.jobs.start_job`), the work of a job as
`jobs.jobs.work_job birthday`, or one of `BESIDE`. That the call really takes this way is checked when it is metered.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bench.operations
import chalicelib
from bench.operations.scene import Scene
from chalicelib.api.routing import ROUTES
from chalicelib.jobs.models import Job

Metered = Callable[[], Any]
Arrange = Callable[[Scene], Metered]

EXEMPT = {
    "get_health": "touches no table",
    "get_openapi": "touches no table",
    "get_whoami": "touches no table; with staff records it reads the caller's, as every route does",
    "list_sign_in_keys": "touches no table; reads the key that signs",
    "list_receipt_keys": "touches no table; reads the store of roots",
    "get_liability": "touches no table; reads the store of roots",
    "get_liability_sheet": "touches no table; reads the store of roots",
    "confirm_callback": "touches no table",
    "list_template_fields": "touches no table",
    "show_opt_out": "touches no table but the program's, which a process remembers",
    "contribute_own": "as contribute",
    "export_member_page": "as export_member",
    "export_me": "as export_member",
    "export_me_page": "as export_member",
    "deliveries.jobs.answer": "asks the lake, which is no table, by its head",
    "get_segment_export": "reads one item, and a file",
    "campaigns.jobs.plan_campaigns": "asks the lake; a handful of items a plan, however many it is for",
    "campaigns.jobs.answer_campaigns": "asks the lake; reads the campaign and its runs",
    "campaigns.jobs.send_campaign_tests": "sends single messages, whose cost deliveries tell",
    "segments.jobs.answer_segments": "asks the lake; reads the segments that are named",
    "segments.jobs.refresh_segments": "asks the lake; one item a segment, and what of it is told is on the bus",
    "relay.jobs.relay_records": "reads the stream and writes to the bus; its role reaches no table",
    "lake.jobs.fold_records": "reads the stream and writes files; its role reaches no table",
    "lake.jobs.patch_lake": "reads and moves one item, the head, however many members it is about",
    "lake.jobs.rebase_lake": "as lake.jobs.patch_lake",
    "lake.jobs.lake_status": "reads one item, the head; the rest is files",
    "relay.jobs.archive_events": "reads a queue and writes to the archive; its role reaches no table",
}
"""Ways into the product that cost nothing here, and why."""

BESIDE = {
    "every process": "every process",
    "every consumer": "a consumer that keeps order",
}
"""Costs that belong to no one way in, and how a table names them."""


@dataclass(frozen=True)
class Operation:
    """Something that is metered.

    Attributes:
        name: the name that its figures are kept under.
        way: the way into the product that it takes.
        arrange: sets the scene and gives the call.
    """

    name: str
    group: str
    title: str
    way: str
    arrange: Arrange


_FOUND: dict[str, Operation] = {}


def operation(way: str, title: str, *, name: str = "") -> Callable[[Arrange], Arrange]:
    """Register an operation under the name of its function.

    Args:
        way: the way into the product that it takes.
        title: what it is, in a few words, for the table.
        name: where one function makes several.
    """

    def declare(arrange: Arrange) -> Arrange:
        key = name or arrange.__name__
        if key in _FOUND:
            raise ValueError(f"two operations are named {key}")
        _FOUND[key] = Operation(key, arrange.__module__.rpartition(".")[2], title, way, arrange)
        return arrange

    return declare


def operations() -> dict[str, Operation]:
    """Every operation, by name, domain by domain."""
    for module in sorted(each.name for each in pkgutil.iter_modules(bench.operations.__path__)):
        importlib.import_module(f"bench.operations.{module}")
    return dict(sorted(_FOUND.items(), key=lambda each: each[1].group))


def ways_in() -> dict[str, str]:
    """Every way into the product, and how a table names it.

    What members do for themselves by the function that staff use, too, costs what that costs, and half a unit to read
    that they are still members.
    """
    importlib.import_module("app")
    ways = {route.function.__name__: f"`{route.method} /v1{route.path}`" for route in ROUTES if not route.own}
    for module in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
        if not module.name.endswith(".jobs") or module.ispkg:
            continue
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            own, takes = function.__module__ == module.name, [*inspect.signature(function).parameters]
            if own and takes == ["event", "context"]:
                way = f"{module.name.removeprefix('chalicelib.')}.{name}"
                ways[way] = f"`{way}`"
    work = ways.pop("jobs.jobs.work_job")
    done_there = [job for job in Job if job != "retention"]  # which has a function of its own
    return ways | {f"jobs.jobs.work_job {job}": f"{work} of `{job}`" for job in done_there} | BESIDE


def unmeasured(known: dict[str, Operation]) -> list[str]:
    """Ways into the product that no operation takes and that are not exempt."""
    return sorted(set(ways_in()) - {each.way for each in known.values()} - set(EXEMPT))
