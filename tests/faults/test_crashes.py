"""Crashes at every table call of every operation that writes (R6): whole or nothing, and done when it is sent again.

The operations are those whose costs are kept (`bench/operations`), so one that is added is crashed too. Their clock
stands still and their keys stay the same, so a crash and a retry must leave, item by item, what the operation alone
leaves.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from bench.operations.registry import Operation, operations
from bench.operations.scene import PEOPLE, Items, Life, Scene, Watch, items_of, lived, plain, scene_of
from bench.stack import database
from chalicelib.identity.errors import TokenInvalid
from chalicelib.identity.keys import digest_of, key_from, require_good
from chalicelib.integrations import rules as integration_rules
from chalicelib.integrations import service as integrations
from chalicelib.kernel.outcomes import Outcome
from chalicelib.storage.dynamo import Dynamo, DynamoFault
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Write
from tests.faults.conftest import Report

NO_KEY = {
    "enrol_member": "its number is drawn anew; tests/table/test_membership.py crashes it",
    "change_contact": "its code is good once",
    "deliveries.jobs.send_parts": "tests/sends crashes it at every call, beside a provider that remembers",
    "unmask_member": "each showing is one of its own",
    "export_member": "each export is one of its own",
    "erase_me": "who is erased is signed out; tests/table/test_erasing.py crashes it",
}
"""Ways in whose repeat is not the same command, and why."""

REFUSED_AGAIN = (
    "edit_member", "edit_pool", "end_pool_member", "publish_program", "edit_me", "edit_staff", "put_role",
    "remove_role", "edit_segment", "edit_campaign",
)  # fmt: skip
"""Ways in whose repeat is refused once they are done: by the version that was read, or because what is gone is gone. A
refusal must change nothing."""

SECRET = ("make_integration_key", "rotate_integration_key")
"""Ways in that answer a secret which is drawn anew each time, and only the first time."""

NO_WAY = dict.fromkeys(("every process", "every consumer"), "no way in of its own: part of every other")

IN_STEPS = (
    "work_job", "start_job", "send_notices", "work_lane", "watch_events", "erase_member", "do_steps", "enter_members",
)  # fmt: skip
"""Ways in that do several things, each of them whole."""


class Died(BaseException):
    """The process is gone; nothing catches this."""


class Mortal(Watch):
    """A client that dies at a call it was told, before or after carrying it out."""

    dies_at = 0
    after = False
    calls = 0

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `Dynamo.call`."""
        self.calls += 1
        if self.calls != self.dies_at:
            return super().call(operation, payload)
        if self.after:
            with suppress(DynamoFault):  # a transaction that was refused is no answer either
                Dynamo.call(self, operation, payload)
        raise Died


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    """A regular customer of the coffee chain, after a year."""
    with database() as server, closing(Mortal(server.endpoint)) as watch:
        yield lived(watch, PEOPLE[1])


@contextmanager
def told(life: Life, operation: Operation) -> Iterator[tuple[Scene, Any, Mortal]]:
    """A scene, the operation ready to be called, and the client under it."""
    mortal = life.tables.watch
    assert isinstance(mortal, Mortal)
    mortal.dies_at = 0
    with scene_of(life) as scene:
        call = operation.arrange(scene)
        scene.ready()
        mortal.calls = 0
        yield scene, call, mortal


def crashed(life: Life, operation: Operation, at: int, *, after: bool) -> tuple[Items, Items]:
    """What is stored when the operation died at a call, and when it was sent again.

    Where it was done before it died, and its repeat is no repeat, it is refused; where it was not, it is done now.
    """
    with told(life, operation) as (scene, call, watch):
        watch.dies_at, watch.after = at, after
        with pytest.raises(Died):
            call()
        watch.dies_at = 0
        left = items_of(watch, scene.core)
        answer = None
        try:
            answer = call()
        except AssertionError as refused:  # of `bench.http_app.call`, which wants success
            if operation.way not in REFUSED_AGAIN or refused.args[0]["statusCode"] not in (403, 404, 409):
                raise
        again = items_of(watch, scene.core)
        if operation.way in SECRET:
            opens(left, again, answer)
        return left, again


def opens(left: Items, again: Items, answer: Any) -> None:
    """See that a key that was answered is good, and that none is answered twice.

    A secret whose answer was lost is nobody's: it is there, its command is known, and another rotation replaces it.
    """
    (stored,) = [key_from(plain(item)) for item in keys_in(again)]
    before = [each.digest for item in keys_in(left) for each in key_from(plain(item)).secrets]
    now = [each.digest for each in stored.secrets]
    if answer["key"] is None:
        assert before and now == before, "its answer was lost, and nothing is drawn again"
        return
    secret = answer["key"].rpartition("_")[2]
    require_good(stored, secret, now=stored.created_at)
    assert now == [digest_of(secret), *before], "the secret before stays for the overlap, the lost one is not there"


def keys_in(items: Items) -> list[Any]:
    """Integration keys among items."""
    return [item for (pk, sk), item in items.items() if (pk[:3], sk) == ("IK#", "KEY")]


def exempt(operation: Operation) -> str | None:
    """Why sending the operation again is not the same command, where it is not."""
    return NO_KEY.get(operation.way) or NO_WAY.get(operation.way)


def _opened(value: Any) -> Any:
    """An attribute without its ciphertext, where it holds sealed words."""
    held = value.get("M", {})
    return {"M": {"of": held["of"]}} if held.keys() == {"of", "text"} else value


def settled(items: Items) -> Items:
    """Items as they come to be however often chance was asked: it names audit records, and is in what is sealed."""
    found: Items = {}
    for (pk, sk), whole in items.items():
        item = {name: _opened(value) for name, value in whole.items() if name != "contact"}
        if pk.startswith("CMP#"):
            item.pop("salt", None)  # chance, too: who is held out
        if (pk[:3], sk) == ("IK#", "KEY"):
            item["secrets"] = {"L": [{"L": each["L"][2:]} for each in whole["secrets"]["L"]]}
        if pk.startswith("A#") and sk.startswith("L#"):
            item = {"rows": len(whole["rows"]["L"])}  # hashes of ciphertexts
        if pk.startswith("A#") and sk.startswith("R#"):
            said = {name: value for name, value in item.items() if name not in ("pk", "sk", "at", "salt", "wd")}
            found["record", f"{len(found)}" if ("record", item["c"]["S"]) in found else item["c"]["S"]] = said
        else:
            found[pk, sk] = item
    return found


@pytest.mark.parametrize("name", sorted(operations()))
def test_an_operation_that_dies_anywhere_is_whole_or_not_there_and_done_when_sent_again(
    name: str, life: Life, report: Report
) -> None:
    operation = operations()[name]
    with told(life, operation) as (scene, call, watch):
        before = settled(items_of(watch, scene.core))
        watch.calls = 0
        call()
        calls = watch.calls
        whole = settled(items_of(watch, scene.core))
    what = {"operation": operation.title, "group": operation.group, "way": operation.way, "calls": calls}
    if whole == before:
        report(f"{name}: writes nothing", **what, deaths=0)
        return
    if reason := exempt(operation):
        report(f"{name}: not crashed here: {reason}", **what, deaths=0, reason=reason)
        return
    steps = any(step in operation.way for step in IN_STEPS)
    deaths = 0
    for at in range(1, calls + 1):
        for after in (False, True):
            left, again = map(settled, crashed(life, operation, at, after=after))
            assert steps or left in (before, whole), f"half done after call {at}"
            assert again == whole, f"not the same after call {at}"
            deaths += 1
    report(f"{name}: {deaths} deaths", **what, deaths=deaths)


@pytest.mark.parametrize("name", ["spend_points", "approve", "invite_staff", "rotate_integration_key"])
def test_a_write_in_two_steps_is_found(name: str, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: what is written apart, an entry and its account, a change and its record, is half done."""
    real = DynamoTable.commit

    def apart(self: DynamoTable, writes: Sequence[Write], *, keyed: bool = False) -> None:
        for write in writes:
            real(self, [write], keyed=keyed)

    monkeypatch.setattr(DynamoTable, "commit", apart)
    operation = operations()[name]
    with told(life, operation) as (scene, call, watch):
        before = settled(items_of(watch, scene.core))
        watch.calls = 0
        call()
        calls = watch.calls
        whole = settled(items_of(watch, scene.core))
    found = []
    for at in range(1, calls + 1):
        with told(life, operation) as (scene, call, watch):
            watch.dies_at, watch.after = at, True
            with pytest.raises(Died):
                call()
            watch.dies_at = 0
            found.append(settled(items_of(watch, scene.core)) not in (before, whole))
    assert any(found)


@pytest.mark.parametrize("name", ["rotate_integration_key", "make_integration_key"])
def test_a_secret_that_is_drawn_again_by_a_repeat_is_found(
    name: str, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check can fail: who does not know the command again hands out a second secret, or one that is not kept."""
    if name == "rotate_integration_key":
        real = integration_rules.rotated

        def forgetful(*given: Any, **more: Any) -> Any:
            return replace(real(*given, **more), rotation="")

        monkeypatch.setattr(integration_rules, "rotated", forgetful)
    else:

        def answered(known: Any, *_: Any, now: datetime) -> Any:
            invented = "rgk_" + "a" * 16 + "_" + "a" * 52
            return Outcome(integrations._shown_once(known[0], known[1], invented, now=now))

        monkeypatch.setattr(integrations, "_made_before", answered)
    operation = operations()[name]
    with told(life, operation) as (_, call, watch):
        watch.calls = 0
        call()
        calls = watch.calls
    with pytest.raises((AssertionError, TokenInvalid)):
        for at in range(1, calls + 1):
            crashed(life, operation, at, after=True)
