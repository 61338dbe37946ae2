"""Notices by providers: each at most once, whatever crashes; what certainly did not go out is sent again."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.notices.models import Channel, Notice
from chalicelib.notices.provided import Provided
from chalicelib.providers.models import Outgoing, Result, Status
from chalicelib.providers.pace import Limits, Pacer
from chalicelib.providers.port import Look, ProviderBusy, ProviderMisconfigured, everyone
from chalicelib.storage.table import Table
from tests.memory import MemoryTable, SharedTable

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Brings:
    """A provider that answers as a test says."""

    answers: Callable[[Outgoing], Status | Exception | Killed] = lambda _: "sent"
    name: str = "smtp"
    channel: str = "email"
    batch_max: int = 1
    idempotent: bool = False
    brought: list[Outgoing] = field(default_factory=list)

    def cost_micro(self, outgoing: Outgoing) -> int:
        return 10

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        (each,) = batch
        answer = self.answers(each)
        if isinstance(answer, Exception):
            raise answer
        if answer == "sent" or isinstance(answer, Killed):
            self.brought.append(each)
        if isinstance(answer, Killed):
            raise answer
        return (Result(each.delivery_id, answer, "" if answer == "sent" else "Code", cost_micro=10),)


@dataclass
class Kept:
    """An outbox that keeps notices."""

    notices: list[Notice] = field(default_factory=list)

    def send(self, notice: Notice) -> None:
        self.notices.append(notice)


def a_notice(**given: Any) -> Notice:
    values: dict[str, Any] = {
        "delivery_id": "dlv_" + "a" * 32,
        "member_id": MemberId("mem_aaaaaaaaaaaaaaaa"),
        "event_id": "evt_1",
        "event_type": "PointsExpiring",
        "channel": Channel.EMAIL,
        "to": "wang@example.com",
        "language": Language.ZH,
        "subject": "积分即将过期",
        "text": "【一家店】您有 20 积分",
        "at": NOW,
        "opt_out": "https://shop.example/v1/opt-outs/x",
    }
    return Notice(**{**values, **given})


def a_sender(ops: Table, provider: Brings, told: list[Mapping[str, Any]] | None = None, **limits: Any) -> Provided:
    pacer = Pacer(ops, {"email": Limits(**limits)}, "Asia/Shanghai", lease=False)
    log = told if told is not None else []
    return Provided(
        {"email": provider}, ops, pacer, Kept(), lambda _, facts: log.append(facts), lambda: NOW, lambda _: None
    )


def test_a_notice_goes_by_the_provider_of_its_channel_once() -> None:
    provider, ops = Brings(), MemoryTable()
    sender = a_sender(ops, provider)
    for _ in range(3):
        sender.send(a_notice())
    (out,) = provider.brought
    assert (out.to, out.subject, out.opt_out_url) == ("wang@example.com", "积分即将过期", a_notice().opt_out)
    assert out.sent_for == "notice:PointsExpiring"


def test_a_channel_that_nobody_brings_or_only_by_templates_keeps_its_outbox() -> None:
    for provider in (Brings(), Brings(name="aliyun", channel="email")):
        sender = a_sender(MemoryTable(), provider)
        notice = a_notice(channel=Channel.SMS if provider.name == "smtp" else Channel.EMAIL)
        sender.send(notice)
        assert provider.brought == []
        assert sender.outbox.notices == [notice]  # type: ignore[attr-defined]


def test_a_link_without_a_host_is_no_link_in_a_mail() -> None:
    provider = Brings()
    a_sender(MemoryTable(), provider).send(a_notice(opt_out="/v1/opt-outs/x"))
    assert provider.brought[0].opt_out_url == ""


def test_two_at_once_are_one() -> None:
    provider, ops = Brings(), SharedTable()
    threads = [threading.Thread(target=lambda: a_sender(ops, provider).send(a_notice())) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(provider.brought) == 1


def test_a_crash_after_it_was_handed_over_does_not_bring_it_twice() -> None:
    provider, ops = Brings(lambda _: Killed()), MemoryTable()
    with pytest.raises(Killed):
        a_sender(ops, provider).send(a_notice())
    provider.answers = lambda _: "sent"
    a_sender(ops, provider).send(a_notice())
    assert len(provider.brought) == 1


@pytest.mark.parametrize(
    "answer", [ProviderBusy("Http503"), ProviderBusy("Http429", throttled=True), "not_sent", ProviderMisconfigured("x")]
)
def test_what_certainly_did_not_go_out_is_sent_again(answer: Any) -> None:
    provider, ops = Brings(lambda _: answer), MemoryTable()
    with pytest.raises((StorageBusy, ProviderMisconfigured)):
        a_sender(ops, provider).send(a_notice())
    provider.answers = lambda _: "sent"
    later = a_sender(ops, provider)
    object.__setattr__(later, "clock", lambda: NOW + timedelta(seconds=2))
    later.send(a_notice())
    assert len(provider.brought) == 1


@pytest.mark.parametrize("answer", ["unknown", "refused"])
def test_what_is_unknown_or_refused_is_told_to_operators_and_never_sent_again(answer: Status) -> None:
    provider, ops, told = Brings(lambda _: answer), MemoryTable(), list[Mapping[str, Any]]()
    for _ in range(2):
        a_sender(ops, provider, told).send(a_notice())
    assert told == [{answer: "Code", "channel": "email", "delivery": a_notice().delivery_id}]


def test_a_provider_that_knows_our_ids_is_asked_again_when_nobody_knows() -> None:
    provider, ops = Brings(lambda _: "unknown", idempotent=True), MemoryTable()
    with pytest.raises(StorageBusy):
        a_sender(ops, provider).send(a_notice())
    provider.answers = lambda _: "sent"
    a_sender(ops, provider).send(a_notice())
    assert len(provider.brought) == 1


def test_when_the_days_money_is_spent_notices_wait() -> None:
    provider, ops = Brings(), MemoryTable()
    sender = a_sender(ops, provider, cap_micro_a_day=15)
    sender.send(a_notice())
    with pytest.raises(StorageBusy):
        sender.send(a_notice(delivery_id="dlv_" + "b" * 32))
    assert len(provider.brought) == 1
    assert ops.items.keys().isdisjoint({"NC#dlv_" + "b" * 32})
