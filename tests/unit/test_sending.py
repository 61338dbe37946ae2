"""Queues and bus whose service throttles, fails in part, loses answers and refuses; every entry gets there."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.batches import BYTES_MAX, ENTRIES_MAX, Sender, batches
from chalicelib.storage.bus import BusEvent, EventBus
from chalicelib.storage.queues import SqsQueues
from chalicelib.storage.signed import ServiceFault, Unreachable
from tests.fakes import Service

NOW = datetime(2026, 3, 15, 4, 0, tzinfo=UTC)
QUEUE = "https://sqs.example.invalid/1/jobs"


def hurried(pauses: list[float] | None = None, patience: float = 1e9) -> Sender:
    """A sender that waits for nothing."""
    return Sender(patience=patience, pause=(pauses if pauses is not None else []).append)


def send(service: Service, kind: str, bodies: list[str], sender: Sender | None = None) -> None:
    """Send by one port or the other."""
    if kind == "queue":
        SqsQueues(service, sender or hurried()).send(QUEUE, bodies)
    else:
        EventBus(service, "events", sender or hurried()).put([BusEvent("PointsEarned", body, NOW) for body in bodies])


def some(count: int) -> list[str]:
    """So many different bodies."""
    return [json.dumps({"n": number}) for number in range(count)]


both = pytest.mark.parametrize("kind", ["queue", "bus"])


@both
@pytest.mark.parametrize("seed", range(5))
def test_with_two_in_five_entries_failing_throttles_and_lost_answers_each_arrives_at_least_once(
    kind: str, seed: int
) -> None:
    chance = random.Random(seed)
    faults = itertools.cycle(
        [None, ServiceFault("ThrottlingException", 400, {}), None, ServiceFault("Http503", 503, {}), None, None]
    )
    service = Service(
        fails=lambda: "InternalFailure" if chance.random() < 0.4 else None,
        answers=lambda: next(faults),
        lost=lambda: chance.random() < 0.1,
    )
    pauses: list[float] = []

    send(service, kind, some(1_000), hurried(pauses))

    assert set(service.arrived) == set(some(1_000))
    assert max(Counter(service.arrived).values()) < 10
    assert len(pauses) > 100
    assert max(pauses) <= 1.0
    assert all(len(call["Entries"]) <= ENTRIES_MAX for call in service.calls)


@both
def test_only_what_failed_is_sent_again(kind: str) -> None:
    codes = iter(["InternalFailure" if n in (3, 7) else None for n in range(10)] + [None, None])
    service = Service(fails=lambda: next(codes))

    send(service, kind, some(10))

    assert [len(call["Entries"]) for call in service.calls] == [10, 2]
    assert Counter(service.arrived) == Counter(some(10))


@both
@pytest.mark.parametrize("answer", [ServiceFault("ThrottlingException", 400, {}), Unreachable("reset"), None])
def test_a_service_that_stays_busy_is_trouble_after_a_bounded_time(kind: str, answer: Exception | None) -> None:
    service = Service(fails=lambda: "ThrottlingException", answers=lambda: answer)
    pauses: list[float] = []

    with pytest.raises(StorageBusy):
        send(service, kind, some(3), hurried(pauses, patience=5.0))

    assert 5 < len(service.calls) < 15
    assert sum(pauses) <= 6.0


@both
def test_time_that_passes_while_calls_hang_counts(kind: str) -> None:
    ticks = itertools.count(step=3.0)
    service = Service(answers=lambda: Unreachable("timed out"))

    with pytest.raises(StorageBusy):
        send(service, kind, some(1), Sender(patience=5.0, pause=lambda _: None, timer=lambda: float(next(ticks))))

    assert len(service.calls) == 2


@both
@pytest.mark.parametrize("code", ["AccessDeniedException", "QueueDoesNotExist", "ValidationException"])
def test_what_no_repeat_would_mend_is_not_repeated(kind: str, code: str) -> None:
    service = Service(answers=lambda: ServiceFault(code, 400, {}))

    with pytest.raises(ServiceFault, match=code):
        send(service, kind, some(3))

    assert len(service.calls) == 1


@pytest.mark.parametrize(("kind", "code"), [("queue", "InvalidMessageContents"), ("bus", "MalformedDetail")])
def test_an_entry_that_is_refused_for_good_is_not_sent_for_ever(kind: str, code: str) -> None:
    service = Service(fails=lambda: code)

    with pytest.raises(ServiceFault, match=code):
        send(service, kind, some(3))

    assert len(service.calls) == 1


@both
def test_nothing_is_sent_for_nothing(kind: str) -> None:
    service = Service()
    send(service, kind, [])
    assert service.calls == []


@both
def test_an_answer_that_is_silent_about_an_entry_is_no_proof_that_it_arrived(kind: str) -> None:
    class Silent(Service):
        def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
            answer = super().call(operation, payload)
            return {} if len(self.calls) == 1 else answer

    service = Silent()
    send(service, kind, some(4))
    assert Counter(service.arrived) == Counter(some(4) * 2)


def test_batches_hold_ten_and_no_more_than_the_services_take_and_keep_the_order() -> None:
    sizes = [100_000, 100_000, 100_000, BYTES_MAX, 1, *([1] * 25), BYTES_MAX + 1, 1]
    made = list(batches(list(enumerate(sizes)), lambda each: each[1]))
    assert [each for batch in made for each in batch] == list(enumerate(sizes))
    assert all(len(batch) <= ENTRIES_MAX for batch in made)
    assert all(len(batch) == 1 or sum(size for _, size in batch) <= BYTES_MAX for batch in made)
    assert [len(batch) for batch in made] == [2, 1, 1, 10, 10, 6, 1, 1]


def test_a_message_says_what_it_was_given_and_when_it_may_be_received() -> None:
    service = Service()
    SqsQueues(service, hurried()).send(QUEUE, ["一", "b"], delay=30)
    SqsQueues(service, hurried()).send(QUEUE, ["c"])
    assert service.calls == [
        {
            "QueueUrl": QUEUE,
            "Entries": [
                {"Id": "0", "MessageBody": "一", "DelaySeconds": 30},
                {"Id": "1", "MessageBody": "b", "DelaySeconds": 30},
            ],
        },
        {"QueueUrl": QUEUE, "Entries": [{"Id": "0", "MessageBody": "c"}]},
    ]


def test_an_event_says_whose_it_is() -> None:
    service = Service()
    EventBus(service, "regulars-events", hurried()).put([BusEvent("TierChanged", '{"a":1}', NOW)])
    assert service.calls == [
        {
            "Entries": [
                {
                    "EventBusName": "regulars-events",
                    "Source": "regulars",
                    "DetailType": "TierChanged",
                    "Detail": '{"a":1}',
                    "Time": NOW.timestamp(),
                }
            ]
        }
    ]
