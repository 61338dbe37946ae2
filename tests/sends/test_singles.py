"""Single messages: at most one, whoever asks how often and whatever fails at whatever point."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.errors import DeliveryClaimed
from chalicelib.deliveries.models import Outcome, Quiet, Sent, Single
from chalicelib.deliveries.service.singles import _One, send_one
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import MemberId
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look
from tests.makers import NOON
from tests.sends.world import CHANNEL, Fault, Killed, World

KINDS = ("before", "after", "busy", "lost")
MEMBER = MemberId("mem_aaaaaaaaaaaaaaaa")


def a_single(**more: object) -> Single:
    made = Single(
        "journey", "jin_a", "2", MEMBER, CHANNEL, "marketing", "tpl_aaaaaaaaaaaaaaaa", 1, NOON + timedelta(days=1)
    )
    return replace(made, **more)  # type: ignore[arg-type]


def asked(world: World, single: Single) -> Sent | None:
    """What a worker is told; None when it was killed or has to ask again."""
    try:
        return send_one(world.office(), single)
    except (Killed, StorageBusy, DeliveryClaimed):
        return None


def to_the_end(world: World, single: Single) -> Sent:
    """What comes of it when it is asked for until it is decided."""
    for _ in range(200):
        sent = asked(world, single)
        if sent is not None and sent.wait_until is None:
            return sent
        world.wait(61)
    raise AssertionError("it is never decided")


def wrong(world: World, sent: Sent) -> list[str]:
    """What does not hold."""
    assert world.provider is not None
    got, found = Counter(name for name, _ in world.provider.got), []
    if got and max(got.values()) > 1 and not world.provider.idempotent:
        found.append("sent twice")
    if sent.outcome is Outcome.SENT and not got:
        found.append("said to be sent, and is not")
    if got and sent.outcome not in (Outcome.SENT, Outcome.UNKNOWN):
        found.append(f"sent, and said to be {sent.outcome.name}")
    if any(at > world.reach.out.get(MEMBER, at) for _, at in world.provider.got):
        found.append("sent after the opt-out")
    item = store.find_single(world.ops, MEMBER, sent.delivery_id)
    if item is None or store.sent_from(item) != sent:
        found.append("something else is kept")
    rows = {(row["row_id"], row["outcome"]) for rows in world.rows.values() for row in rows}
    if rows != {(sent.delivery_id, sent.outcome.kind)}:
        found.append(f"the lake says {rows}")
    return found


def test_a_message_is_sent_once_and_the_first_answer_stays() -> None:
    world = World()
    first = to_the_end(world, a_single())
    assert first.outcome is Outcome.SENT and wrong(world, first) == []
    world.wait(5)
    assert send_one(world.office(), a_single()) == first
    assert world.provider is not None and len(world.provider.got) == 1
    assert rules.named_by(first.delivery_id) == ("", MEMBER)


def test_another_step_or_channel_is_another_message() -> None:
    world = World()
    names = {rules.single_id(a_single(**more)) for more in ({}, {"step": "3"}, {"channel": "sms"}, {"source_id": "b"})}
    assert len(names) == 4
    to_the_end(world, a_single())
    assert to_the_end(world, a_single(step="3")).outcome is Outcome.SENT


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_every_point(kind: str, *, idempotent: bool) -> None:
    world = World(idempotent=idempotent)
    to_the_end(world, a_single())
    for point in range(world.points.count):
        world = World(idempotent=idempotent, faults={point: Fault(kind)})
        sent = to_the_end(world, a_single())
        assert wrong(world, sent) == [], point
        assert sent.outcome is Outcome.SENT or not idempotent, point


def test_a_field_without_a_value_is_named_and_is_no_lack_of_words() -> None:
    world = World()
    world.words.missing = ("gift_points", "name")
    sent = to_the_end(world, a_single())
    assert (sent.outcome.reason, sent.code) == ("field_missing", "gift_points name")
    assert asked(world, a_single()) == sent, "also the second time"
    (row,) = [row for rows in world.rows.values() for row in rows]
    assert (row["outcome"], row["reason"]) == ("skipped", "field_missing")


def another(world: World) -> None:
    asked(world, a_single())


def another_later(world: World) -> None:
    world.wait(200)
    asked(world, a_single())


def opts_out(world: World) -> None:
    world.opt_out(MEMBER)


@pytest.mark.parametrize("act", [another, another_later, opts_out])
@pytest.mark.parametrize("idempotent", [False, True])
def test_what_happens_meanwhile_at_every_point(act: Callable[[World], None], *, idempotent: bool) -> None:
    world = World(idempotent=idempotent)
    to_the_end(world, a_single())
    for point in range(world.points.count):
        world = World(idempotent=idempotent, faults={point: Fault("meanwhile", act)})
        sent = to_the_end(world, a_single())
        assert wrong(world, sent) == [], point


def test_a_server_that_is_slow_to_be_reached_is_not_given_what_was_ended_meanwhile() -> None:
    world = World(seconds=0.38)
    assert world.provider is not None
    send = world.provider.send

    def slow(batch: Sequence[Outgoing], look: Look) -> tuple[Result, ...]:
        world.wait(5)
        world.opt_out(MEMBER)
        return send(batch, look)

    world.provider.send = slow  # type: ignore[method-assign,assignment]
    sent = to_the_end(world, a_single())
    assert wrong(world, sent) == [] and sent.outcome is Outcome.NO_CONSENT


@pytest.mark.parametrize("mood", ["busy", "dead", "mute", "garbage", "mixed"])
@pytest.mark.parametrize("idempotent", [False, True])
def test_a_provider_that_fails_half_the_time(mood: str, *, idempotent: bool) -> None:
    for seed in range(10):
        world = World(
            idempotent=idempotent, seed=seed, slow=True,
            mood=lambda batch, chance: mood if chance.random() < 0.5 else "ok",
        )  # fmt: skip
        sent = to_the_end(world, a_single())
        assert wrong(world, sent) == [], seed
        assert sent.outcome is not Outcome.UNKNOWN or not idempotent


def test_who_has_opted_out_is_not_written_to_and_what_is_late_is_not_sent() -> None:
    world = World()
    world.opt_out(MEMBER)
    assert to_the_end(world, a_single()).outcome is Outcome.NO_CONSENT
    world = World()
    assert to_the_end(world, a_single(send_until=NOON)).outcome is Outcome.EXPIRED


def test_quiet_hours_are_waited_for_and_nothing_is_claimed() -> None:
    world = World()
    sent = send_one(world.office(), a_single(quiet=Quiet(12 * 60, 13 * 60), zone="Asia/Shanghai"))
    assert (sent.outcome, sent.wait_until, sent.waits_for) == (Outcome.OPEN, NOON + timedelta(hours=1), "quiet")
    assert store.find_single(world.ops, MEMBER, sent.delivery_id) is None


def test_a_test_send_goes_to_an_address_of_its_own_without_a_consent() -> None:
    world = World()
    world.opt_out(MEMBER)
    assert to_the_end(world, a_single(to="me@example.com")).outcome is Outcome.SENT
    assert to_the_end(world, a_single(to="bounced@example.com", step="3")).outcome is Outcome.SUPPRESSED


def test_a_message_without_a_claim_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = _One._keep

    def careless(self: _One, outcome: Outcome, result: object = None, *, lease_until: int = 0) -> Sent:
        return self._sent(outcome) if lease_until else keep(self, outcome, result)  # type: ignore[arg-type]

    monkeypatch.setattr(_One, "_keep", careless)
    found = []
    for point in range(10):
        world = World(faults={point: Fault("after")})
        found += wrong(world, to_the_end(world, a_single()))
    assert "sent twice" in found


def test_a_test_says_of_itself_that_it_is_one() -> None:
    mail = rules.marked_as_test("春天", "送 50 分", "<html><body class='a'><p>送 50 分</p></body></html>", "zh")
    assert mail[0] == "【测试】春天"
    assert mail[1].startswith("这是一封测试消息") and mail[1].endswith("\n\n送 50 分")
    assert mail[2].startswith("<html><body class='a'><p style=") and "不作为承诺" in mail[2]
    bare = rules.marked_as_test("Spring", "50 points", "<p>50 points</p>", "en")
    assert bare[0] == "[Test] Spring" and bare[2].endswith("</p><p>50 points</p>")
    assert rules.marked_as_test("", "【店】50 points", "", "en") == ("", "【店】50 points [Test]", "")
    assert rules.marked_as_test("", "", "", "zh") == ("", "", ""), "a provider fills in its own template"
