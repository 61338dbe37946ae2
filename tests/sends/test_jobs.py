"""The function that the queue feeds: how a message ends."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.jobs import send_parts
from chalicelib.deliveries.models import Quiet, RunStatus
from chalicelib.deliveries.service import queueing, reading
from chalicelib.deliveries.service.parts import LEASE
from chalicelib.kernel.errors import StorageBusy
from chalicelib.providers.port import ProviderBusy, ProviderMisconfigured
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from local.deploy.functions import FUNCTIONS
from tests.fakes import KeptQueues
from tests.faults.works import SETTINGS
from tests.sends.test_neighbours import CHANNEL, RUN, Shop

QUEUE = "http://127.0.0.1:9/000000000000/campaign-sends"


class Context:
    """What Lambda says: there are two minutes."""

    def get_remaining_time_in_millis(self) -> int:
        """See Lambda."""
        return 120_000


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    settings = replace(SETTINGS, send_queue=QUEUE)
    wiring.use(
        House(
            settings, made.core, made.keyring, made.clock, ops=made.ops, queues=KeptQueues(), objects=made.objects,
            providers={CHANNEL: made.mailbox},
        )
    )  # fmt: skip
    yield made
    wiring.use(None)


def fed(*parts: int, run: str = RUN) -> list[str]:
    """Have the function work on messages; those that it says have failed."""
    bodies = [json.dumps({"run_id": run, "part": part}) for part in parts]
    event = {"Records": [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]}
    return [each["itemIdentifier"] for each in send_parts(event, Context())["batchItemFailures"]]


def handed_back() -> list[tuple[int, int]]:
    """What was sent to the queue: bodies and delays."""
    queues: Any = wiring.house().queues
    return [(json.loads(body)["part"], delay) for url, body, delay in queues.sent if url == QUEUE]


def test_a_part_is_sent_and_its_message_done_with(shop: Shop) -> None:
    assert (fed(0), handed_back(), len(shop.mailbox.got)) == ([], [], 6)
    run = store.find_run(shop.core, RUN)
    assert run is not None and run.status is RunStatus.SENT
    assert (fed(0), handed_back(), len(shop.mailbox.got)) == ([], [], 6)


def test_a_part_that_waits_is_handed_back_with_a_delay(shop: Shop) -> None:
    run = store.find_run(shop.core, RUN)
    assert run is not None
    shop.core.commit([store.replace_run(replace(run, quiet=Quiet(13 * 60, 15 * 60)), RunStatus.SENDING)])
    assert (fed(0), handed_back()) == ([], [(0, 900)])
    assert shop.mailbox.got == []


def test_a_provider_that_is_down_wears_no_message_out(shop: Shop) -> None:
    def busy(batch: Any, look: Any = None) -> Any:
        raise ProviderBusy("down", retry_after=30)

    shop.mailbox.send = busy  # type: ignore[method-assign]
    assert (fed(0), [delay for _, delay in handed_back()]) == ([], [30])


def test_a_paused_and_a_cancelled_run_end_their_messages(shop: Shop) -> None:
    run = store.find_run(shop.core, RUN)
    assert run is not None
    shop.core.commit([store.replace_run(run, RunStatus.PAUSED)])
    assert (fed(0), handed_back(), shop.mailbox.got) == ([], [], [])
    paused = store.find_run(shop.core, RUN)
    assert paused is not None
    shop.core.commit([store.replace_run(paused, RunStatus.CANCELLED)])
    assert queueing.requeue(shop.ops, wiring.house().queues, QUEUE, paused) == 1
    assert (fed(0), shop.mailbox.got) == ([], [])
    assert {each.name: count for each, count in reading.progress(shop.ops, paused).outcomes.items()} == {"CANCELLED": 6}
    assert queueing.requeue(shop.ops, wiring.house().queues, QUEUE, paused) == 0


def test_why_a_message_dies_stands_beside_its_run(shop: Shop) -> None:
    def wrong(batch: Any, look: Any = None) -> Any:
        raise ProviderMisconfigured("InvalidSignature")

    shop.mailbox.send = wrong  # type: ignore[method-assign]
    assert fed(0) == ["m0"] and fed(0) == ["m0"]
    (stuck,) = reading.stuck(shop.ops, shop.run)
    assert (stuck.part, stuck.fault, stuck.times) == (0, "ProviderMisconfigured: InvalidSignature", 2)
    del shop.mailbox.send
    assert fed(0) == [] and len(shop.mailbox.got) == 6
    assert reading.stuck(shop.ops, shop.run) == ()


def test_a_plan_that_is_not_there_is_no_reason_to_forget_its_members(shop: Shop) -> None:
    del shop.objects.files[rules.part_key(RUN, 0)]
    assert fed(0) == ["m0"]
    assert [each.fault for each in reading.stuck(shop.ops, shop.run)] == ["PlanMissing"]


def test_one_message_fails_alone_and_a_run_that_there_is_not_is_done_with(shop: Shop) -> None:
    assert fed(7, 0) == ["m0"]
    assert len(shop.mailbox.got) == 6
    assert fed(0, run="crn_b_once") == []


def test_trouble_hands_a_message_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*args: Any, **more: Any) -> Any:
        raise StorageBusy

    monkeypatch.setattr(shop.ops, "commit", busy)
    assert (fed(0), handed_back()) == ([], [(0, 15)])
    assert shop.mailbox.got == []


def test_what_is_handed_back_goes_on_where_it_was(shop: Shop) -> None:
    send, calls = shop.mailbox.send, [0]

    def once(batch: Any, look: Any = None) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise ProviderBusy("down", retry_after=30)
        return send(batch)

    shop.mailbox.send = once  # type: ignore[method-assign]
    assert fed(0) == [] and len(shop.mailbox.got) == 2
    shop.clock.now += timedelta(seconds=31)
    assert fed(0) == []
    assert sorted(each.to for each in shop.mailbox.got) == [f"m{number}@example.com" for number in range(6)]


def test_a_lease_outlives_the_function_and_not_its_message() -> None:
    (sends,) = (each for each in FUNCTIONS if each.name == "send-parts")
    assert sends.seconds < LEASE.total_seconds() < 6 * sends.seconds
