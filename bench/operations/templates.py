"""Operations of templates, and of who is written to."""

from datetime import date
from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene
from chalicelib.kernel.ids import MemberId
from chalicelib.reach.links import Preferences, preferences_token_of

_MAIL = {
    "subject": "{{name}}，生日快乐",
    "html": "<table>"
    + '<tr><td style="padding:10px"><p>您好 {{name}}，您有 {{points}} 积分。</p></td></tr>' * 40
    + "</table>",
}
_WHY = {"reason": "asked at the till"}


def _template() -> dict[str, Any]:
    return {"name": "birthday", "purpose": "marketing", "contents": {"channel": "email", "zh": _MAIL}}


def _made(scene: Scene) -> str:
    """A template; its path."""
    return f"/v1/templates/{scene.post('/v1/templates', _template(), key='t')['template_id']}"


def _suppressed(scene: Scene) -> Any:
    body = {"channel": "sms", "address": "+8613900139000", **_WHY}
    return scene.post("/v1/suppressions", body)


@operation("create_template", "make a template, a mail of 4 kB")
def create_template(scene: Scene) -> Metered:
    return lambda: scene.post("/v1/templates", _template(), key="t")


@operation("edit_template", "write its next version")
def edit_template(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.send("PUT", path, {**_template(), "name": "another", "version": 1})


@operation("archive_template", "take it out of use")
def archive_template(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.post(f"{path}/archivals", {})


@operation("get_template", "a template")
def get_template(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.get(path)


@operation("list_templates", "templates, of which there is one")
def list_templates(scene: Scene) -> Metered:
    _made(scene)
    return lambda: scene.get("/v1/templates")


@operation("preview_template", "what a member would get")
def preview_template(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.post(f"{path}/previews", {"member_id": scene.member})


@operation("suppress_address", "see that an address is not written to")
def suppress_address(scene: Scene) -> Metered:
    return lambda: _suppressed(scene)


@operation("lift_suppression", "see that it may be written to again")
def lift_suppression(scene: Scene) -> Metered:
    made = _suppressed(scene)["suppression_id"]
    return lambda: scene.post(f"/v1/suppressions/{made}/lifts", _WHY)


@operation("get_suppression", "an address that is not written to")
def get_suppression(scene: Scene) -> Metered:
    made = _suppressed(scene)["suppression_id"]
    return lambda: scene.get(f"/v1/suppressions/{made}")


@operation("list_suppressions", "addresses that are not written to, of which there is one")
def list_suppressions(scene: Scene) -> Metered:
    _suppressed(scene)
    return lambda: scene.get("/v1/suppressions")


def _preferences(scene: Scene) -> str:
    link = Preferences(MemberId(scene.member), date(2026, 3, 15))
    return f"/v1/preferences/{preferences_token_of(link, scene.house.keyring)}"


@operation("show_preferences", "the page of preferences, with one text of a consent")
def show_preferences(scene: Scene) -> Metered:
    path = _preferences(scene)
    return lambda: scene.get(path)


@operation("change_preferences", "end messages of a topic by a channel there")
def change_preferences(scene: Scene) -> Metered:
    path = _preferences(scene)
    return lambda: scene.post(f"{path}?purpose=marketing&channel=sms", {})
