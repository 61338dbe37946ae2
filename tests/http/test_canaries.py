"""Marked values in every personal field: after everything that can happen to them, they stand nowhere in clear.

Searched are log lines, what is sent to queues, the bus, archive and outbox, every item of every table, and every answer
that is not an unmasking. The search finds a leak that is planted in each of these places.
"""

import json
import logging
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any

import pytest

from chalicelib.jobs import jobs as job_functions
from chalicelib.members import service as members
from chalicelib.notices import jobs as notices_jobs
from chalicelib.relay import jobs as relay_jobs
from chalicelib.runtime import wiring
from chalicelib.runtime.observe import logger
from chalicelib.runtime.wiring import House
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import FolderObjects
from tests.fakes import ClearContacts, KeptBus
from tests.makers import Api, Tray, a_purchase_body
from tests.memory import MemoryTable, SharedTable

LABEL = {"zh": "项", "en": "Field"}
ID_NUMBER = "110105197708090027"
PERSONAL: dict[str, Any] = {
    "name": "卡娜丽",
    "mobile": "+8613912345678",
    "email": "kanali.mail@example.com",
    "card_no": "KANALICARD0001",
    "external_ids": [{"source": "wechat", "id": "KANALIEXT0001"}],
    "birthday": "1977-03-15",
    "bank_cards": [{"bank": "工商银行", "last_four": "4242", "token": "KANALITOKEN"}],
    "custom": {"diet": "kanalidiet", "id": ID_NUMBER},
    "consents": [{"purpose": "id_number", "granted": True, "text_version": "1"}],
}
NEXT = {
    "name": "卡二丽",
    "mobile": "+8613987654321",
    "email": "kanali.next@example.com",
    "card_no": "KANALICARD0002",
    "birthday": "1978-03-15",
    "custom": {"diet": "kanalinext"},
}
MARKS = (
    "卡娜丽", "卡二丽", "13912345678", "13987654321", "139 1234 5678", "kanali.", "KANALICARD", "KANALIEXT",
    "1977-", "1978-", "KANALITOKEN", "kanalidiet", "kanalinext", ID_NUMBER,
    "kanaliwhy",
)  # fmt: skip


def marks_in(place: str, text: str) -> list[str]:
    """Where marks stand: in text as it is, without its escapes, and normalised."""
    texts = {text, unicodedata.normalize("NFKC", text)}
    if "\\u" in text:
        texts.add(text.encode().decode("unicode_escape", errors="ignore"))
    return [f"{place}: {mark}" for mark in MARKS if any(mark.lower() in each.lower() for each in texts)]


def plain(value: Any) -> str:
    """Everything in a value as text; bytes as what they would spell."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, dict):
        return " ".join(f"{name} {plain(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return " ".join(map(plain, value))
    return str(value)


@dataclass
class World:
    """The product with everything around it kept where it can be searched."""

    api: Api
    house: House
    core: MemoryTable
    ops: MemoryTable
    vault: SharedTable
    tray: Tray
    bus: KeptBus
    objects: FolderObjects
    answers: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    after: int = 0

    def call(self, method: str, path: str, body: Any = None, *, status: int | None = None, **headers: str) -> Any:
        """A request, whose answer is kept."""
        reply = self.api.send(method, path, body, **headers)
        assert status is None or reply.status == status, reply.text
        self.answers.append(f"{reply.headers} {reply.text}")
        return reply.json if reply.text else None

    def work(self) -> None:
        """Jobs, the relay, the archive, notices: until nothing is left to do."""
        while records := self.tray.taken():
            self.sent += [each["body"] for each in records]
            assert job_functions.work_job({"Records": records}, None) == {"batchItemFailures": []}
        told = self.core.records(
            lambda record: record["eventName"] == "INSERT" or record["dynamodb"]["Keys"]["sk"]["S"] == "PROFILE"
        )
        told = [each for each in told if int(each["dynamodb"]["SequenceNumber"]) > self.after]
        self.after = len(self.core.stream)
        before = len(self.bus.events)
        for start in range(0, len(told), 50):
            relay_jobs.relay_records({"Records": told[start : start + 50]}, None)
        messages = [
            {"messageId": str(number), "body": event.detail} for number, event in enumerate(self.bus.events[before:])
        ]
        self.sent += [message["body"] for message in messages]
        if messages:
            assert relay_jobs.archive_events({"Records": messages}, None) == {"batchItemFailures": []}
            assert notices_jobs.send_notices({"Records": messages}, None) == {"batchItemFailures": []}

    def found(self, logged: str) -> list[str]:
        """Every mark that stands somewhere in clear."""
        found = marks_in("logs", logged)
        for table, name in ((self.core, "core"), (self.ops, "ops"), (self.vault, "vault")):
            for key, item in table.items.items():
                found += marks_in(f"{name} {key}", plain(item) + f" {key.pk} {key.sk}")
        for number, text in enumerate(self.answers):
            found += marks_in(f"answer {number}", text)
        for text in self.sent:
            found += marks_in("queues", text)
        for event in self.bus.events:
            found += marks_in("bus", str(event))
        for name in self.objects.list("", after=None, limit=10_000):
            found += marks_in(f"archive {name}", plain(self.objects.get(name)) + name)
        return found


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What is logged, as it is written."""
    logger()
    handlers = [each for each in logging.getLogger("regulars").handlers if isinstance(each, logging.StreamHandler)]
    assert handlers
    written = StringIO()
    before = [each.setStream(written) for each in handlers]
    yield written
    for handler, stream in zip(handlers, before, strict=True):
        handler.setStream(stream or sys.stdout)


@pytest.fixture
def world(house: House, api: Api, vault: SharedTable, tmp_path: Any) -> Iterator[World]:
    """A world of the test's own."""
    core, ops, tray, bus = MemoryTable(), MemoryTable(), Tray(), KeptBus()
    objects = FolderObjects(tmp_path / "archive")
    made = replace(house, table=core, ops=ops, queues=tray, bus=bus, objects=objects)
    wiring.use(made)
    yield World(api, made, core, ops, vault, tray, bus, objects)


def a_life_with_marks(world: World, patch: pytest.MonkeyPatch) -> None:
    """Everything that takes or shows personal data, and everything that can go wrong with it."""
    call = world.call
    terms = call("GET", "/v1/program")
    fields = {
        "diet": {"type": "text", "label": LABEL, "personal": True}, "id": {"type": "id_number", "label": LABEL},
    }  # fmt: skip
    body = {name: terms[name] for name in terms if name not in ("published_at", "former_ladders")}
    call("PUT", "/v1/program", {**body, "custom_fields": fields, "transfers": {**body["transfers"], "enabled": True}})
    world.api.clock.forward(minutes=1)
    world.api.publish_texts("id_number")
    member = call("POST", "/v1/members", PERSONAL, status=201, Idempotency_Key="k1")["member_id"]
    call("POST", "/v1/members", PERSONAL, status=201, Idempotency_Key="k1")
    path = f"/v1/members/{member}"

    for wrong in (
        PERSONAL, {**PERSONAL, "dry_run": True}, {**PERSONAL, "unknown": "kanali.x"},
        {**PERSONAL, "mobile": "1391234567"},
        {"name": "卡娜丽"}, {**PERSONAL, "card_no": "n", "mobile": None, "email": None, "external_ids": [],
                           "birthday": "1977-02-30"}, {**PERSONAL, "custom": {"diet": 5}},
    ):  # fmt: skip
        call("POST", "/v1/members", wrong)
    for query in (
        "mobile=13912345678", "email=kanali.mail@example.com", "card_no=KANALICARD0001",
        "external_id=wechat:KANALIEXT0001", "mobile=139123456789", "email=kanali.", "card_no=KANALI%20CARD",
    ):  # fmt: skip
        call("GET", f"/v1/members?{query}")
    call("GET", "/v1/members/13912345678")
    call("POST", "/v1/members", b'{"mobile": "13912345678", "name": "\xe5\x8d"')
    call("PATCH", path, {"version": 1, **NEXT}, status=200)
    call("PATCH", path, {"version": 1, **NEXT}, status=409)
    call("POST", f"{path}/unmaskings", {"fields": ["mobile", "name"], "reason": "kanaliwhy"}, status=201)
    world.answers.pop()  # it shows what it is asked for
    call("POST", f"{path}/exports", {"reason": "kanaliwhy"}, status=201)
    world.answers.pop()
    asked = {"points": 50_000, "reason_code": "x", "note_to_member": "kanaliwhy", "note_internal": "kanaliwhy"}
    call("POST", f"{path}/point-adjustments", asked, status=202, Idempotency_Key="w")
    world.answers.pop()  # what waits for a second person is shown with its notes

    ways: list[dict[str, Any]] = [
        {"mobile": "13987654321"}, {"card_no": "KANALICARD0002"}, {"email": "kanali.next@example.com"},
        {"external_id": {"source": "wechat", "id": "KANALIEXT0001"}}, {"mobile": "13987654399"},
    ]  # fmt: skip
    for number, way in enumerate(ways):
        call("POST", "/v1/purchases", a_purchase_body(way, order_no=f"o{number}", paid_minor=900_000))
    other = call("POST", "/v1/members", {"card_no": "other", "birthday": "2000-03-15"}, status=201)["member_id"]
    transfer = {"to": {"mobile": "13987654321"}, "points": 5}
    call("POST", f"/v1/members/{other}/point-adjustments", {"points": 50, "reason_code": "x"}, Idempotency_Key="a")
    call("POST", f"/v1/members/{other}/point-transfers", transfer, Idempotency_Key="t")
    call("POST", f"/v1/members/{other}/point-transfers", {**transfer, "to": {"email": "kanali.no@example.com"}},
         Idempotency_Key="t2")  # fmt: skip
    call("POST", "/v1/jobs/birthday/runs", {"date": "2026-03-15"})
    world.work()
    call("POST", "/v1/member-merges", {"from_member_id": member, "into_member_id": other, "reason": "twice"},
         Idempotency_Key="m")  # fmt: skip
    for each in (member, other):
        for view in ("", "/points", "/tier", "/timeline", "/point-entries", "/purchases", "/point-transfers", "/cards"):
            call("GET", f"/v1/members/{each}{view}")
    world.work()

    def broken(*_: Any, **__: Any) -> None:
        raise ValueError(f"cannot read {PERSONAL['mobile']} of {PERSONAL['name']}")

    with patch.context() as broken_for_now:
        broken_for_now.setattr(members, "member_view", broken)
        call("GET", path, status=500)
    call("POST", f"/v1/members/{other}/closures", {"reason": "moved", "forfeit_points": True})
    world.work()


def test_no_mark_stands_anywhere_in_clear(world: World, log: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    a_life_with_marks(world, monkeypatch)
    assert log.getvalue().count('"request"') > 30, "the log lines are looked at"
    assert any(item.get("kind") == "unmasked" for item in world.core.items.values())
    assert world.bus.events
    assert [key for key in world.objects.list("", after=None, limit=1000) if key.startswith("outbox/")]
    assert world.found(log.getvalue()) == []


def test_a_leak_is_found_wherever_it_is_planted(world: World, log: StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    member = world.call("POST", "/v1/members", {"card_no": "x", "name": "卡娜丽"}, status=201)["member_id"]
    assert world.found(log.getvalue()) == []

    logger().info("request", who="卡娜丽")
    world.sent.append(json.dumps({"to": "+8613912345678"}))
    world.objects.put("outbox/a.json", "卡娜丽".encode(), kind="application/json")
    world.answers.append(json.dumps({"name": "卡娜丽"}))
    clear = Keyring(world.house.keyring.index_key, world.house.keyring.cursor_key, ClearContacts())
    wiring.use(replace(world.house, keyring=clear))
    world.call("POST", "/v1/members", {"card_no": "y", "name": "卡娜丽"}, status=201)
    wiring.use(world.house)

    found = world.found(log.getvalue())
    places = {each.split()[0].rstrip(":") for each in found}
    assert places == {"logs", "queues", "archive", "answer", "core"}, member
