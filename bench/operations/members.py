"""Operations of members."""

from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import quote

from bench.operations.registry import Metered, operation
from bench.operations.scene import MOBILE, Scene, enrolment
from chalicelib.consents.models import ContactChannel
from chalicelib.deliveries.service import reading
from chalicelib.kernel.ids import MemberId
from chalicelib.reach.links import OptOut, token_of
from chalicelib.runtime import wiring
from chalicelib.storage.functions import LocalFunctions


@operation("enrol_member", "enrol, with mobile, e-mail, card and birthday")
def enrol_member(scene: Scene) -> Metered:
    return lambda: scene.enrol(1)


@operation("enrol_member", "enrol, with an idempotency key")
def enrol_member_with_key(scene: Scene) -> Metered:
    return lambda: scene.enrol(1, key="enrol-1")


@operation("enrol_member", "the same enrolment with its key again")
def enrol_member_again(scene: Scene) -> Metered:
    scene.enrol(1, key="enrol-1")
    return lambda: scene.enrol(1, key="enrol-1")


@operation("enrol_member", "a dry run of an enrolment")
def enrol_member_dry(scene: Scene) -> Metered:
    return lambda: scene.post("/v1/members", enrolment(1, dry_run=True))


@operation("look_up_member", "look up by mobile, e-mail, card or external id")
def look_up_by_mobile(scene: Scene) -> Metered:
    return lambda: scene.get(f"/v1/members?mobile={quote(MOBILE)}")


@operation("look_up_member", "look up by member number")
def look_up_by_number(scene: Scene) -> Metered:
    number = scene.get(f"/v1/members/{scene.member}")["member_number"]
    return lambda: scene.get(f"/v1/members?member_number={number}")


@operation("look_up_member", "look up by a mobile that nobody has")
def look_up_nobody(scene: Scene) -> Metered:
    return lambda: scene.get("/v1/members?mobile=13700000000")


@operation("get_member", "a member, with points and tier")
def get_member(scene: Scene) -> Metered:
    return lambda: scene.get(f"/v1/members/{scene.member}")


@operation("unmask_member", "show a member's mobile number, with its record")
def unmask_member(scene: Scene) -> Metered:
    body = {"fields": ["mobile"], "reason": "a call back"}
    return lambda: scene.post(f"/v1/members/{scene.member}/unmaskings", body)


@operation("say_consents", "withdraw a consent")
def say_consents(scene: Scene) -> Metered:
    body = {"consents": [{"purpose": "offers", "channel": "sms", "granted": False, "text_version": "1"}]}
    return lambda: scene.post(f"/v1/members/{scene.member}/consents", body)


@operation("get_consents", "what a member consents to")
def get_consents(scene: Scene) -> Metered:
    return lambda: scene.get(f"/v1/members/{scene.member}/consents")


@operation("list_consent_changes", "the history of a member's consents, of one change")
def list_consent_changes(scene: Scene) -> Metered:
    say_consents(scene)()
    return lambda: scene.get(f"/v1/members/{scene.member}/consent-changes")


@operation("opt_out", "end messages of a kind by a link")
def opt_out(scene: Scene) -> Metered:
    link = OptOut(MemberId(scene.member), "notices", ContactChannel.SMS, date(2026, 3, 15))
    token = token_of(link, scene.house.keyring)
    return lambda: scene.post(f"/v1/opt-outs/{token}", {})


@operation("export_member", "everything about a member")
def export_member(scene: Scene) -> Metered:
    known: dict[str, Any] = {"items": [], "heard": [], "held_out": []}
    functions = LocalFunctions({reading.ANSWER: lambda *_: known})
    wiring.use(replace(scene.house, functions=functions))
    return lambda: scene.post(f"/v1/members/{scene.member}/exports", {"reason": "asked for it"})


@operation("erase_member", "erase a member for good")
def erase_member(scene: Scene) -> Metered:
    body = {"reason": "asked", "forfeit": True}
    return lambda: scene.post(f"/v1/members/{scene.member}/erasures", body)


@operation("erase_member", "erase a member, again")
def erase_member_again(scene: Scene) -> Metered:
    erase_member(scene)()
    return erase_member(scene)


@operation("edit_member", "edit, no identifier")
def edit_member(scene: Scene) -> Metered:
    return lambda: scene.send("PATCH", f"/v1/members/{scene.member}", {"version": 1, "tags": ["vip"]})


@operation("edit_member", "edit the mobile number")
def edit_mobile(scene: Scene) -> Metered:
    return lambda: scene.send(
        "PATCH", f"/v1/members/{scene.member}", {"version": 1, "mobile": "+8613700000000", "reason": "asked"}
    )


@operation("suspend_member", "suspend")
def suspend_member(scene: Scene) -> Metered:
    return lambda: scene.post(f"/v1/members/{scene.member}/suspensions", {"reason": "lost card"})


@operation("suspend_member", "suspend once more")
def suspend_member_again(scene: Scene) -> Metered:
    suspend_member(scene)()
    return suspend_member(scene)


@operation("reinstate_member", "reinstate")
def reinstate_member(scene: Scene) -> Metered:
    suspend_member(scene)()
    return lambda: scene.post(f"/v1/members/{scene.member}/reinstatements", {"reason": "card found"})


@operation("close_member", "close; the points that are left are forfeit")
def close_member(scene: Scene) -> Metered:
    body = {"reason": "moved away", "forfeit_points": True}
    return lambda: scene.post(f"/v1/members/{scene.member}/closures", body)


@operation("list_timeline", "a page of 25 of the timeline")
def list_timeline(scene: Scene) -> Metered:
    return lambda: scene.get(f"/v1/members/{scene.member}/timeline?limit=25")
