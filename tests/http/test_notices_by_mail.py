"""A notice that an event leads to is a mail in the laptop's folder, once, with a way out that works."""

import email
import json
import time
from dataclasses import replace
from email.policy import default
from pathlib import Path
from typing import Any

from chalicelib.notices.jobs import send_notices
from chalicelib.providers.pace import Limits
from chalicelib.providers.smtp import Smtp
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from local.mail import SENDER, MailProcess
from tests.makers import Api, Clock


def an_event(member_id: str) -> dict[str, Any]:
    told = {
        "event_id": "evt_rphxaybfptcjpjzeptksfm4ioor36qzo", "type": "PointsExpiring", "version": 1,
        "member_id": member_id, "seq": None,
        "occurred_at": "2026-03-15T04:00:00Z", "recorded_at": "2026-03-15T04:00:00Z",
        "data": {"points": 120, "expires_on": "2026-03-31"},
    }  # fmt: skip
    return {"Records": [{"messageId": "m", "body": json.dumps(told)}]}


def test_a_notice_is_a_mail_with_a_link_that_ends_them(api: Api, house: House, clock: Clock, tmp_path: Path) -> None:
    server = MailProcess(tmp_path)
    server.begin()
    try:
        provider = Smtp("127.0.0.1", server.port, "none", SENDER, clock)
        made = replace(
            house,
            settings=replace(house.settings, public_url="https://api.coffee.example"),
            providers={"email": provider},
            limits={"email": Limits()},
        )
        wiring.use(made)
        member = api.enrol(email="wang@example.com")["member_id"]
        _send(member)
        assert send_notices(an_event(member), None) == {"batchItemFailures": []}  # the queue brings it again
        provider.close()
    finally:
        server.stop()
    (path,) = tmp_path.rglob("*.eml")
    mail = email.message_from_bytes(path.read_bytes(), policy=default)
    assert (mail["To"], mail["Subject"]) == ("wang@example.com", "积分即将过期")
    link = mail["List-Unsubscribe"].strip("<>")
    assert link.startswith("https://api.coffee.example/v1/opt-outs/")
    page = api.send("POST", link.removeprefix("https://api.coffee.example"), b"List-Unsubscribe=One-Click")
    assert page.status == 200
    assert not list((tmp_path / "archive").rglob("*.json")), "nothing went to the outbox besides"


def test_a_notice_is_in_the_members_language_and_so_is_the_page_of_its_link(api: Api, house: House) -> None:
    wiring.use(replace(house, settings=replace(house.settings, public_url="https://api.coffee.example")))

    def told(**fields: str) -> dict[str, Any]:
        send_notices(an_event(api.enrol(**fields)["member_id"]), None)
        (key,) = house.objects.list("outbox/", after=None, limit=10)
        found: dict[str, Any] = json.loads(house.objects.get(key) or b"")
        return found

    english = told(email="a@example.com", language="en")
    assert english["language"] == "en"
    assert english["text"].startswith("Regulars: 120 of your points expire after 2026-03-31.")
    link = english["list_unsubscribe"].removeprefix("https://api.coffee.example")
    page = api.send("GET", link, Accept_Language="ja")
    assert (page.status, '<html lang="en">' in page.text) == (200, True)
    assert api.send("POST", link, b"List-Unsubscribe=One-Click").status == 200
    for fields in ({"language": "zh"}, {}):
        own = told(email="b@example.com" if fields else "c@example.com", **fields)
        assert (own["language"], own["text"].startswith("【常客会员】您有 120 积分")) == ("zh", True)
        assert "?language" not in own["list_unsubscribe"]


def _send(member: str) -> None:
    """Send it as the queue does, until the mail server is up: what certainly did not go out is sent again."""
    deadline = time.monotonic() + 20
    while send_notices(an_event(member), None)["batchItemFailures"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
