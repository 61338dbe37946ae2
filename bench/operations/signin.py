"""Operations of signing in, and of what members do for themselves."""

from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import EMAIL, MOBILE, Scene


def asked(scene: Scene, **address: str) -> dict[str, str]:
    """A request for a code, and the code."""
    body = address or {"mobile": MOBILE}
    request_id = scene.post("/v1/auth/otp-requests", body)["request_id"]
    return {"request_id": request_id, "code": scene.code(request_id)}


def signed_in(scene: Scene) -> Any:
    """The tokens of a member who signed in."""
    return scene.post("/v1/auth/tokens", {"grant": "otp", **asked(scene)})


@operation("ask_code", "a code to a mobile number")
def ask_code(scene: Scene) -> Metered:
    return lambda: scene.post("/v1/auth/otp-requests", {"mobile": MOBILE})


@operation("ask_code", "a code to an e-mail address")
def ask_code_by_email(scene: Scene) -> Metered:
    return lambda: scene.post("/v1/auth/otp-requests", {"email": EMAIL})


@operation("give_tokens", "sign in with a code")
def sign_in(scene: Scene) -> Metered:
    body = {"grant": "otp", **asked(scene)}
    return lambda: scene.post("/v1/auth/tokens", body)


@operation("give_tokens", "go on with a refresh token")
def refresh(scene: Scene) -> Metered:
    body = {"grant": "refresh", "refresh_token": signed_in(scene)["refresh_token"]}
    return lambda: scene.post("/v1/auth/tokens", body)


@operation("get_me", "a member, by themselves")
def get_me(scene: Scene) -> Metered:
    return lambda: scene.as_member("GET", "/v1/me")


@operation("edit_me", "another name, by the member")
def edit_me(scene: Scene) -> Metered:
    version = scene.as_member("GET", "/v1/me")["version"]
    return lambda: scene.as_member("PATCH", "/v1/me", {"version": version, "name": "王大明"})


@operation("change_contact", "another mobile number, proven by a code")
def change_contact(scene: Scene) -> Metered:
    version, mobile = scene.as_member("GET", "/v1/me")["version"], "+8613700137000"
    proof = asked(scene, mobile=mobile, purpose="contact_change")
    body = {**proof, "mobile": mobile, "version": version}
    return lambda: scene.as_member("POST", "/v1/me/contact-changes", body)


@operation("list_my_timeline", "what happened, by the member")
def list_my_timeline(scene: Scene) -> Metered:
    return lambda: scene.as_member("GET", "/v1/me/timeline")


@operation("erase_me", "erase oneself for good")
def erase_me(scene: Scene) -> Metered:
    bearer = f"Bearer {signed_in(scene)['access_token']}"
    return lambda: scene.send("POST", "/v1/me/erasures", {"forfeit": True}, authorization=bearer)


@operation("list_my_sessions", "the sessions of a member")
def list_my_sessions(scene: Scene) -> Metered:
    signed_in(scene)
    return lambda: scene.as_member("GET", "/v1/me/sessions")


@operation("end_my_session", "sign out")
def end_my_session(scene: Scene) -> Metered:
    session = signed_in(scene)["session_id"]
    return lambda: scene.as_member("POST", f"/v1/me/sessions/{session}/end", {})
