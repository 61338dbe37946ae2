"""Staff sign in with the issuer of `make run`: step by step as a client does, and with a browser where there is one."""

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

import pytest

from local.oidc import CLIENT, Kept, issuer_of
from local.settings import ROOT
from local.static import SETTINGS, Pages
from tests.local.stand import Stack
from tests.local.test_run import children

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


class Stays(HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_args: object) -> None:
        """See `HTTPRedirectHandler.redirect_request`."""


def kept(stack: Stack) -> Kept:
    """What the issuer of a run lives from."""
    found: Kept = json.loads((stack.data_dir / "issuer.json").read_text())
    return found


class Client:
    """A browser without a screen: it keeps cookies and follows redirects of the issuer by itself."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.kept = kept(stack)
        self.issuer = issuer_of(self.kept)
        self.page = f"http://127.0.0.1:{stack.port}/sign-in"
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()), Stays)

    def send(self, url: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, str, str]:
        """Status, where to next, and body."""
        body = None if form is None else urlencode(form).encode()
        try:
            with self._opener.open(Request(url, body, headers), timeout=60) as answer:
                return answer.status, "", answer.read().decode()
        except HTTPError as answer:
            return answer.code, answer.headers.get("Location") or "", answer.read().decode()

    def asked(self, **changes: str) -> tuple[int, str, str]:
        """Ask for a sign-in as the page does."""
        query = {
            "response_type": "code", "client_id": CLIENT, "redirect_uri": self.page, "scope": "openid profile",
            "state": "s", "nonce": "n", "code_challenge": CHALLENGE, "code_challenge_method": "S256", **changes,
        }  # fmt: skip
        return self.send(f"{self.issuer}/auth?" + urlencode({name: value for name, value in query.items() if value}))

    def code(self, login: str) -> str:
        """Sign in and come back with a code."""
        status, to, _ = self.asked()
        assert status == 303
        (password,) = (each["password"] for each in self.kept["staff"] if each["login"] == login)
        status, to, _ = self.send(self.issuer + to, {"login": login, "password": password})
        while to.startswith(self.issuer):
            status, to, _ = self.send(to)
        assert to.startswith(self.page), (status, to)
        answer = parse_qs(urlsplit(to).query)
        assert (answer["state"], answer["iss"]) == (["s"], [self.issuer])
        return answer["code"][0]

    def token(self, **form: str) -> tuple[int, dict[str, Any]]:
        """Ask the token endpoint."""
        status, _, body = self.send(f"{self.issuer}/token", {"client_id": CLIENT, **form})
        return status, json.loads(body)

    def redeemed(self, code: str, **changes: str) -> tuple[int, dict[str, Any]]:
        """Redeem a code."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.page, "code_verifier": VERIFIER}
        return self.token(**form | changes)

    def signed_in(self, login: str) -> dict[str, Any]:
        """Sign in and get tokens."""
        status, tokens = self.redeemed(self.code(login))
        assert status == 200, tokens
        return tokens

    def who(self, token: str) -> tuple[int, dict[str, Any]]:
        """Ask the API who we are."""
        url = f"http://127.0.0.1:{self.stack.port}/v1/whoami"
        status, _, body = self.send(url, Authorization=f"Bearer {token}")
        return status, json.loads(body)


def test_every_member_of_the_demos_staff_signs_in_and_is_who_they_should_be(stack: Stack) -> None:
    found = {}
    for person in kept(stack)["staff"]:
        status, me = Client(stack).who(Client(stack).signed_in(person["login"])["access_token"])
        assert (status, me["name"]) == (200, person["name"])
        assert me["subject"].startswith("stf_")
        found[person["login"]] = (me["roles"], me["shop_ids"])
    assert found == {
        "admin": (["admin"], []), "manager": (["shop_manager"], ["shp_jingan"]), "clerk": (["clerk"], ["shp_jingan"]),
        "marketer": (["marketer"], []), "agent": (["agent"], []), "analyst": (["analyst"], []),
        "auditor": (["auditor"], []), "newcomer": ([], []),
    }  # fmt: skip

    # One stack, one start: what else holds of the issuer is asked of the same run.
    tokens = Client(stack).signed_in("clerk")
    assert Client(stack).who(tokens["id_token"])[1]["code"] == "token_invalid", "it is for the page, not for the API"
    _only_what_was_asked_for_as_it_should_be(stack)
    _refresh_tokens_are_good_once(stack)
    _tokens_outlive_the_issuer(stack, tokens["access_token"])


def _only_what_was_asked_for_as_it_should_be(stack: Stack) -> None:
    for change in ({"code_challenge": ""}, {"code_challenge_method": "plain"}, {"response_type": "token"}):
        _, to, _ = Client(stack).asked(**change)
        assert "error=" in to, change
        assert "code=" not in to, change
    for change in ({"redirect_uri": "http://127.0.0.1:1/sign-in"}, {"client_id": "other"}):
        status, to, body = Client(stack).asked(**change)
        assert (status, to) == (400, ""), change
        assert "No sign-in" in body
    client = Client(stack)
    code = client.code("clerk")
    assert client.redeemed(code, code_verifier="w" * 43)[0] == 400
    other = Client(stack)
    used = other.code("clerk")
    assert other.redeemed(used)[0] == 200
    assert other.redeemed(used)[1]["error"] == "invalid_grant"
    for login, password in (("clerk", "wrong"), ("nobody", "wrong"), ("clerk", ""), ("", "")):
        client = Client(stack)
        _, to, _ = client.asked()
        status, to, body = client.send(client.issuer + to, {"login": login, "password": password})
        assert (status, to, "not right" in body) == (401, "", True)


def _refresh_tokens_are_good_once(stack: Stack) -> None:
    client = Client(stack)
    first = client.signed_in("manager")
    status, second = client.token(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (status, client.who(second["access_token"])[0]) == (200, 200)
    assert second["refresh_token"] != first["refresh_token"]
    assert client.token(grant_type="refresh_token", refresh_token=first["refresh_token"])[1]["error"] == "invalid_grant"
    assert client.token(grant_type="refresh_token", refresh_token=second["refresh_token"])[0] == 400, "a thief has one"


def _tokens_outlive_the_issuer(stack: Stack, token: str) -> None:
    """Kill the issuer; it comes back with its keys, so tokens stay good, and those who sign in are who they were."""
    before = kept(stack)
    assert stack.process is not None
    (issuer,) = [pid for pid in children(stack.process.pid) if "server.mjs" in Path(f"/proc/{pid}/cmdline").read_text()]
    os.kill(issuer, signal.SIGKILL)
    assert Client(stack).who(token)[0] == 200
    deadline = time.monotonic() + 60
    while True:
        try:
            again = Client(stack).signed_in("clerk")
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert Client(stack).who(again["access_token"])[1]["roles"] == ["clerk"]
    assert Client(stack).who(token)[0] == 200
    assert kept(stack) == before
    file = stack.data_dir / "issuer.json"
    assert file.stat().st_mode & 0o777 == 0o600
    passwords = [each["password"] for each in before["staff"]]
    assert len(set(passwords)) == len(passwords)
    assert all(re.fullmatch(r"([a-z2-9]{4}-){3}[a-z2-9]{4}", each) for each in passwords)
    logs = [path for path in stack.data_dir.glob("*.log") if path.exists()]
    assert logs
    for secret in (*passwords, token, again["refresh_token"]):
        assert not any(secret in path.read_text(errors="replace") for path in logs)


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")
def test_a_browser_signs_in_renews_and_signs_out(stack: Stack) -> None:
    script = ["node", "tests/local/sign_in.mjs", CHROMIUM, f"http://127.0.0.1:{stack.port}"]
    command = [*script, str(stack.data_dir / "issuer.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    seen = json.loads(done.stdout)
    assert seen.get("problem") is None, done.stderr
    assert seen["wrong"] == "账号或密码不正确。"
    manager = seen["manager"]
    assert manager["name"] == "陈静"
    assert "店长" in manager["facts"]
    assert manager["rights"]["purchases:record"] == "本店"
    assert manager["rights"]["members:write"] == "全部会员"
    assert (manager["address"], manager["storage"]) == (f"http://127.0.0.1:{stack.port}/sign-in", '[{},{},""]')
    assert (seen["renewal1"], seen["renewal2"], seen["refreshTokens"]) == (200, 200, 2)
    assert seen["reused"] == [400, "invalid_grant"]
    assert (seen["leaving"], seen["left"]) == ("退出登录？", "您已退出登录。")
    assert seen["stayed"] == ["陈静", "陈静 · 常客 Regulars"]
    assert (seen["used"], seen["unsettled"]) == ("This sign-in page is out of date", "This page could not be loaded")
    assert seen["busy"].startswith("Please wait 7 seconds (until ")
    assert (seen["suspended"], seen["instead"]) == ("您的账号已停用", "王芳")
    assert "静安寺店" in manager["facts"]
    assert re.search(r"Account\s+admin\s+Staff ID\s+stf_\w+\s+Roles\s+admin\s+Shops\s+all\s", seen["admin"])
    assert seen["newcomer"].startswith("You have not been given any rights yet.")
    assert (seen["forged"], seen["last"]) == ("state_differs", "signed-out")
    assert all(seen["fits"])
    assert len(seen["fits"]) == 9
    assert seen["requests"] == sorted([f"http://127.0.0.1:{stack.port}", issuer_of(kept(stack))]), (
        "nobody else is asked"
    )
    # What the browser itself reports are the refusals that were provoked, and nothing of the content security policy.
    provoked = re.compile(r"status of 4(0\d|29)|ERR_FAILED")
    assert all(provoked.search(each) for each in seen["console"]), seen["console"]


def test_the_page_signs_in_with_the_first_issuer_that_is_configured_and_may_talk_to_no_other() -> None:
    brought = [
        {"issuer": "https://id.coffee.invalid/realms/a", "clients": ["console"]},
        {"issuer": "https://b.invalid"},
    ]
    pages = Pages(json.dumps(brought))
    settings, page = pages.find(SETTINGS), pages.find("/sign-in/")
    assert settings is not None
    assert page is not None
    assert json.loads(settings.plain) == {
        "issuer": "https://id.coffee.invalid/realms/a", "client_id": "console", "scope": "openid profile",
    }  # fmt: skip
    csp = dict(page.headers)[b"content-security-policy"].decode()
    assert "connect-src 'self' https://id.coffee.invalid;" in csp
    assert "unsafe" not in csp
    none = Pages("").find(SETTINGS)
    assert none is not None
    assert json.loads(none.plain) == {"issuer": None}
