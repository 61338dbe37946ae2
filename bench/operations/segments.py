"""Operations of segments. The lake is another function's, which is asked and touches no table but for what is named."""

from dataclasses import replace
from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene
from chalicelib.runtime import wiring
from chalicelib.storage.functions import LocalFunctions

_LEAF = {"kind": "field", "name": "points", "op": "at_least", "value": 500}
_BOUGHT = {
    "kind": "purchases", "measure": "count", "op": "at_least", "value": 3, "window": {"kind": "last_days", "days": 90},
}  # fmt: skip
_DEFINITION = {"kind": "all", "of": [_LEAF, {"kind": "any", "of": [_BOUGHT, {"kind": "stage", "stages": ["active"]}]}]}
_SAID = {"zh": "积分不少于 500的会员。", "en": "Members who have at least 500 points."}
_NOW = "2026-03-15T04:00:00+00:00"
_ANSWERS: dict[str, dict[str, Any]] = {
    "count": {"count": 3, "of": 9, "sentence": _SAID, "branches": [], "as_of": _NOW},
    "members": {"members": [], "last": None},
    "export": {"rows": 0, "parts": 1, "as_of": _NOW},
}


def _lake(scene: Scene) -> None:
    """Somebody who answers for the lake."""

    def answer(question: dict[str, Any], _: object) -> dict[str, Any]:
        if question["ask"] == "overlap":
            return {"sizes": dict.fromkeys(question["segment_ids"], 1), "regions": [], "as_of": _NOW}
        return _ANSWERS[question["ask"]]

    wiring.use(replace(scene.house, functions=LocalFunctions({"segments-answer": answer})))


def _made(scene: Scene, key: str = "segment-1", **more: Any) -> str:
    _lake(scene)
    reply = scene.post("/v1/segments", {"name": "活跃会员", "definition": _DEFINITION, **more}, key=key)
    made: str = reply["segment_id"]
    return made


@operation("create_segment", "make a live segment")
def create_segment(scene: Scene) -> Metered:
    return lambda: _made(scene)


@operation("create_segment", "make one of another segment")
def create_segment_of_another(scene: Scene) -> Metered:
    named = {"kind": "not", "of": {"kind": "segment", "segment_id": _made(scene)}}
    return lambda: _made(scene, key="segment-2", definition=named)


@operation("list_segments", "a page of segments")
def list_segments(scene: Scene) -> Metered:
    _made(scene)
    return lambda: scene.get("/v1/segments")


@operation("list_ready_segments", "the segments that every program has")
def list_ready_segments(scene: Scene) -> Metered:
    return lambda: scene.get("/v1/ready-segments")


@operation("get_segment", "a segment")
def get_segment(scene: Scene) -> Metered:
    segment_id = _made(scene)
    return lambda: scene.get(f"/v1/segments/{segment_id}")


@operation("edit_segment", "change a definition")
def edit_segment(scene: Scene) -> Metered:
    segment_id = _made(scene)
    return lambda: scene.send("PATCH", f"/v1/segments/{segment_id}", {"version": 1, "definition": _LEAF})


@operation("archive_segment", "put a segment aside")
def archive_segment(scene: Scene) -> Metered:
    segment_id = _made(scene)
    return lambda: scene.post(f"/v1/segments/{segment_id}/archivals", {})


@operation("list_segment_members", "a page of a segment's members")
def list_segment_members(scene: Scene) -> Metered:
    segment_id = _made(scene)
    return lambda: scene.get(f"/v1/segments/{segment_id}/members")


@operation("list_segment_sizes", "how large a segment was")
def list_segment_sizes(scene: Scene) -> Metered:
    segment_id = _made(scene)
    return lambda: scene.get(f"/v1/segments/{segment_id}/sizes")


@operation("count_segment_members", "count while a definition is written")
def count_segment_members(scene: Scene) -> Metered:
    _lake(scene)
    return lambda: scene.post("/v1/segment-counts", {"definition": _DEFINITION})


@operation("compare_segments", "how far two segments overlap")
def compare_segments(scene: Scene) -> Metered:
    segment_id = _made(scene)
    return lambda: scene.post("/v1/segment-overlaps", {"segment_ids": [segment_id, "seg_ready_champions"]})


@operation("export_segment", "export a segment")
def export_segment(scene: Scene) -> Metered:
    segment_id = _made(scene)
    return lambda: scene.post(f"/v1/segments/{segment_id}/exports", {}, key="export-1")
