"""Operations of campaigns. Who is written to and what it brought is asked of the lake, which is no table."""

from dataclasses import replace
from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene
from chalicelib.runtime import wiring
from chalicelib.storage.functions import LocalFunctions

_SMS = {"channel": "sms", "zh": {"text": "春天到了，{{points}}分等您来用"}}
_NOBODY = {
    "planned": 0, "sent": 0, "delivered": 0, "opened": 0, "clicked": 0, "bounced": 0, "complained": 0, "opted_out": 0,
    "unknown": 0, "skipped": {}, "buyers": 0, "buyers_per_million": None, "purchases": 0, "sales_minor": 0,
    "points_earned": 0, "messages_cost_minor": 0, "points_cost_minor": 0, "cost_minor": 0, "compared": None,
}  # fmt: skip
_NOW = "2026-03-15T04:00:00+00:00"


def _functions(scene: Scene) -> None:
    """Somebody who answers for the lake, and somebody who sends."""

    def answer(question: dict[str, Any], _: object) -> dict[str, Any]:
        if question.get("what") == "estimate":
            return {
                "campaign_id": question["campaign_id"], "as_of": _NOW, "first_on": "2026-03-15",
                "last_on": "2026-03-15", "planned": {}, "gift_points": 0, "points_cost_minor": 0,
                "messages_cost_minor": 0, "cost_minor": 0, "currency": "CNY",
            }  # fmt: skip
        return {
            "campaign_id": question["campaign_id"], "as_of": _NOW, "window_open": True, "variants": {},
            "all_variants": _NOBODY, "beside_first": {}, "held_out": None, "left_out": {}, "gift_points": 0,
            "cost_minor": 0, "return_percent": None, "currency": "CNY",
        }  # fmt: skip

    def test(_question: dict[str, Any], _: object) -> dict[str, Any]:
        return {"items": []}

    functions = LocalFunctions({"campaigns-answer": answer, "campaigns-test": test})
    wiring.use(replace(scene.house, functions=functions))


def _body(scene: Scene) -> dict[str, Any]:
    template = scene.post("/v1/templates", {"name": "t", "purpose": "marketing", "contents": _SMS}, key="template-1")
    return {
        "name": "Spring", "segment_id": "seg_ready_champions", "schedule": {"kind": "now"},
        "variants": [{"name": "a", "template_ids": [template["template_id"]]}],
    }  # fmt: skip


def _made(scene: Scene, *, launched: bool = False) -> str:
    _functions(scene)
    path: str = "/v1/campaigns/" + scene.post("/v1/campaigns", _body(scene), key="campaign-1")["campaign_id"]
    if launched:
        scene.post(f"{path}/launch", {"version": 1})
    return path


@operation("make_campaign", "make a campaign")
def make_campaign(scene: Scene) -> Metered:
    body = _body(scene)
    return lambda: scene.post("/v1/campaigns", body, key="campaign-1")


@operation("list_campaigns", "a page of campaigns")
def list_campaigns(scene: Scene) -> Metered:
    _made(scene)
    return lambda: scene.get("/v1/campaigns")


@operation("get_campaign", "a campaign with its latest runs")
def get_campaign(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.get(path)


@operation("edit_campaign", "change a draft")
def edit_campaign(scene: Scene) -> Metered:
    path = _made(scene)
    body = {**_body(scene), "name": "Summer", "version": 1}
    return lambda: scene.send("PATCH", path, body)


@operation("copy_campaign", "copy a campaign")
def copy_campaign(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.post(f"{path}/copies", {"name": "Summer"}, key="copy-1")


@operation("launch_campaign", "launch a campaign")
def launch_campaign(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.post(f"{path}/launch", {"version": 1})


@operation("pause_campaign", "pause a campaign")
def pause_campaign(scene: Scene) -> Metered:
    path = _made(scene, launched=True)
    return lambda: scene.post(f"{path}/pause", {})


@operation("resume_campaign", "let a campaign go on")
def resume_campaign(scene: Scene) -> Metered:
    path = _made(scene, launched=True)
    scene.post(f"{path}/pause", {})
    return lambda: scene.post(f"{path}/resume", {})


@operation("cancel_campaign", "cancel a campaign")
def cancel_campaign(scene: Scene) -> Metered:
    path = _made(scene, launched=True)
    return lambda: scene.post(f"{path}/cancel", {})


@operation("send_tests", "have a test sent")
def send_tests(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.post(f"{path}/test-sends", {"member_ids": ["mem_aaaaaaaaaaaaaaaa"]}, key="test-1")


@operation("get_results", "what a campaign has brought")
def get_results(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.get(f"{path}/results")


@operation("get_estimate", "what a draft would reach and cost")
def get_estimate(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.get(f"{path}/estimate")
