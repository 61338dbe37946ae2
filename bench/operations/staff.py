"""Operations of staff, roles and approvals."""

from typing import Any

from bench.http_app import token_of
from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene
from bench.stack import ISSUER
from chalicelib.kernel.ids import StaffId

_WHO = StaffId.of(ISSUER, "somebody")
_WHY = {"reason": "as agreed with the shop"}


def _invite(scene: Scene, *roles: str) -> Any:
    body = {"issuer": ISSUER, "subject": "somebody", "name": "李小红", "roles": roles, "shop_ids": ["shp_sh_0231"]}
    return scene.post("/v1/staff", body)


def _role(scene: Scene, version: int = 0) -> Any:
    permissions = {"points:read": "shop", "purchases:record": "shop", "purchases:read": "shop"}
    body = {"version": version, "name": "咖啡师", "permissions": permissions, **_WHY}
    return scene.send("PUT", "/v1/roles/barista", body)


@operation("invite_staff", "let an admin in")
def invite_staff(scene: Scene) -> Metered:
    return lambda: _invite(scene, "admin")


@operation("invite_staff", "let somebody in with a custom role")
def invite_staff_custom(scene: Scene) -> Metered:
    _role(scene)
    return lambda: _invite(scene, "barista")


@operation("list_staff", "a page of staff")
def list_staff(scene: Scene) -> Metered:
    _invite(scene, "clerk")
    return lambda: scene.get("/v1/staff")


@operation("get_staff", "somebody who works here")
def get_staff(scene: Scene) -> Metered:
    _invite(scene, "clerk")
    return lambda: scene.get(f"/v1/staff/{_WHO}")


@operation("edit_staff", "give another role")
def edit_staff(scene: Scene) -> Metered:
    _invite(scene, "clerk")
    return lambda: scene.send("PATCH", f"/v1/staff/{_WHO}", {"version": 1, "roles": ["shop_manager"], **_WHY})


@operation("suspend_staff", "suspend somebody")
def suspend_staff(scene: Scene) -> Metered:
    _invite(scene, "clerk")
    return lambda: scene.post(f"/v1/staff/{_WHO}/suspensions", _WHY)


@operation("reinstate_staff", "reinstate somebody")
def reinstate_staff(scene: Scene) -> Metered:
    suspend_staff(scene)()
    return lambda: scene.post(f"/v1/staff/{_WHO}/reinstatements", _WHY)


@operation("list_roles", "all roles")
def list_roles(scene: Scene) -> Metered:
    _role(scene)
    return lambda: scene.get("/v1/roles")


@operation("get_role", "a custom role")
def get_role(scene: Scene) -> Metered:
    _role(scene)
    return lambda: scene.get("/v1/roles/barista")


@operation("put_role", "change a custom role")
def put_role(scene: Scene) -> Metered:
    _role(scene)
    return lambda: _role(scene, 1)


@operation("remove_role", "do away with a custom role")
def remove_role(scene: Scene) -> Metered:
    _role(scene)
    return lambda: scene.post("/v1/roles/barista/removals", _WHY)


@operation("get_points", "asked by somebody whose record is read")
def get_points_by_record(scene: Scene) -> Metered:
    _invite(scene, "shop_manager")
    token = token_of("somebody", scene.clock(), directory=True)
    return lambda: scene.send("GET", f"/v1/members/{scene.member}/points", authorization=f"Bearer {token}")


# ---------------------------------------------------------------- approvals


def _ask(scene: Scene) -> Any:
    body = {"points": 20_000, "reason_code": "goodwill", "note_to_member": "sorry for the wait"}
    token = token_of("stf_asker", scene.clock())
    path = f"/v1/members/{scene.member}/point-adjustments"
    return scene.send("POST", path, body, idempotency_key="asked-0001", authorization=f"Bearer {token}")


def _asked(scene: Scene) -> str:
    return str(_ask(scene)["approval_id"])


@operation("adjust_points", "ask a second person for a large one")
def ask_for_adjustment(scene: Scene) -> Metered:
    return lambda: _ask(scene)


@operation("list_approvals", "a page of what waits for a second person")
def list_approvals(scene: Scene) -> Metered:
    _asked(scene)
    return lambda: scene.get("/v1/approvals?status=waiting")


@operation("get_approval", "what waits for a second person")
def get_approval(scene: Scene) -> Metered:
    approval = _asked(scene)
    return lambda: scene.get(f"/v1/approvals/{approval}")


@operation("approve", "approve a large adjustment")
def approve(scene: Scene) -> Metered:
    approval = _asked(scene)
    return lambda: scene.post(f"/v1/approvals/{approval}/approvals", {})


@operation("reject", "reject it")
def reject(scene: Scene) -> Metered:
    approval = _asked(scene)
    return lambda: scene.post(f"/v1/approvals/{approval}/rejections", _WHY)
