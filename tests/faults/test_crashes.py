"""Crashes at every table call of every operation that writes (R6): whole or nothing, and done when it is sent again.

The operations are those whose costs are kept (`bench/operations`), so one that is added is crashed too. Their clock
stands still and their keys stay the same, so a crash and a retry must leave, item by item, what the operation alone
leaves.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import pytest

from bench.operations.registry import Operation, operations
from bench.operations.scene import PEOPLE, Items, Life, Scene, Watch, items_of, lived, scene_of
from bench.stack import database
from chalicelib.storage.dynamo import Dynamo, DynamoFault
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Write
from tests.faults.conftest import Report

NO_KEY = {
    "enrol_member": "its number is drawn anew; tests/table/test_membership.py crashes it",
    "edit_member": "its version says that it was done",
    "edit_pool": "its version says that it was done",
    "end_pool_member": "who has left cannot leave",
    "publish_program": "its version says that it was done",
    "edit_me": "its version says that it was done",
    "edit_staff": "its version says that it was done",
    "put_role": "its version says that it was done",
    "remove_role": "what is gone cannot go again",
    "change_contact": "its code is good once",
    "unmask_member": "each showing is one of its own",
    "export_member": "each export is one of its own",
    "erase_me": "who is erased is signed out; tests/table/test_erasing.py crashes it",
    "make_integration_key": "its secret is drawn anew",
    "rotate_integration_key": "its secret is drawn anew",
}
"""Ways in whose repeat is not the same command, and why."""

NO_WAY = dict.fromkeys(("every process", "every consumer"), "no way in of its own: part of every other")

IN_STEPS = ("work_job", "start_job", "send_notices", "work_lane", "watch_events", "erase_member")
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
    """What is stored when the operation died at a call, and when it was sent again."""
    with told(life, operation) as (scene, call, watch):
        watch.dies_at, watch.after = at, after
        with pytest.raises(Died):
            call()
        watch.dies_at = 0
        left = items_of(watch, scene.core)
        call()
        return left, items_of(watch, scene.core)


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


def test_a_write_in_two_steps_is_found(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a ledger that writes its entry and its account apart is half done between them."""
    real = DynamoTable.commit

    def apart(self: DynamoTable, writes: Sequence[Write], *, keyed: bool = False) -> None:
        for write in writes:
            real(self, [write], keyed=keyed)

    monkeypatch.setattr(DynamoTable, "commit", apart)
    operation = operations()["spend_points"]
    with told(life, operation) as (scene, call, watch):
        before = items_of(watch, scene.core)
        call()
        whole = items_of(watch, scene.core)
    left, _ = crashed(life, operation, 2, after=True)
    assert left not in (before, whole)
