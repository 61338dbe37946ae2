"""Ids of deliveries, the form of a part, who is next, what a row of the lake says. Pure.

A part is gzip of JSON lines: a head, then an array for each recipient. Arrays, because names in every line would cost
more to read than all the rest of a recipient.
"""

import base64
import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.deliveries.models import (
    FORM,
    PENDING,
    RECIPIENTS_MAX,
    DeliveryId,
    Outcome,
    Part,
    PartState,
    Quiet,
    Recipient,
    Row,
    Run,
    Single,
)
from chalicelib.kernel.calendar import from_milliseconds, milliseconds, zone
from chalicelib.providers.models import Result

DELAY_MAX = 900
"""Seconds: SQS hides a message for no longer. Who has to wait longer is asked again and again."""

_LETTERS = {each.value: each for each in Outcome}


# ---------------------------------------------------------------- ids


def delivery_id(run_id: str, source_id: str, step: str, member_id: str, channel: str) -> DeliveryId:
    """The id of a run's delivery to a member: names run and member, and checks with source, step and channel."""
    own = member_id.partition("_")[2]
    return DeliveryId(f"dlv_{run_id}-{own}-{_check(source_id, step, member_id, channel, run_id)[:16]}")


_SINGLE = "one"
"""Stands in a single message's id in the place of a run."""


def single_id(single: Single) -> DeliveryId:
    """The id of a single message; names the member."""
    check = _check(single.source_id, single.step, single.member_id, single.channel, single.source)
    return DeliveryId(f"dlv_{_SINGLE}-{single.member_id.partition('_')[2]}-{check}")


def _check(*parts: str) -> str:
    return hashlib.sha256("\n".join(("regulars delivery", *parts)).encode()).hexdigest()[:40]


def named_by(delivery_id_: str) -> tuple[str, str] | None:
    """Run (empty for a single message) and member that a delivery's id names; None: it is no id of ours."""
    if not _SHAPE.fullmatch(delivery_id_):
        return None
    run, member, _ = delivery_id_[4:].split("-")
    return "" if run == _SINGLE else run, f"mem_{member}"


def belongs(delivery_id_: str, run: Run, member_id: str) -> bool:
    """Whether an id is that of a delivery of a run to a member, by one of its channels."""
    channels = {each.channel for each in run.wordings}
    return any(
        delivery_id(run.run_id, run.source_id, run.step, member_id, channel) == delivery_id_ for channel in channels
    )


def reference(name: DeliveryId, channel: str) -> str:
    """What the links of a message say of it, as short as can be: they name the member besides, and are in texts."""
    run_id, _, check = name[4:].split("-")
    if run_id != _SINGLE:
        return f"{run_id}.{channel}"
    return base64.urlsafe_b64encode(bytes.fromhex(check)).decode().rstrip("=")


def referred_run(said: str) -> tuple[str, str] | None:
    """The run and the channel of the message that a reference says; None: it is a single message."""
    run_id, dot, channel = said.partition(".")
    return (run_id, channel) if dot else None


def referred_single(said: str, member_id: str) -> DeliveryId:
    """The id of the single message that a reference says."""
    check = base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)).hex()
    return DeliveryId(f"dlv_{_SINGLE}-{member_id.partition('_')[2]}-{check}")


_SHAPE = re.compile(r"dlv_[A-Za-z0-9_]{3,80}-[a-z2-7]{16}-[0-9a-f]{16,40}")


# ---------------------------------------------------------------- parts


def part_key(run_id: str, number: int) -> str:
    """Where a part's file is."""
    return f"plans/{run_id}/{number:06d}.jsonl.gz"


def part_file(part: Part) -> bytes:
    """A part as it is stored; the same part is the same bytes.

    Raises:
        ValueError: it holds nobody, too many, or somebody twice.
    """
    if len({each.member_id for each in part.recipients}) < len(part.recipients):
        raise ValueError("somebody is twice in a part")
    if not 0 < len(part.recipients) <= RECIPIENTS_MAX:
        raise ValueError(f"a part holds 1 to {RECIPIENTS_MAX} recipients, not {len(part.recipients)}")
    head = {"form": FORM, "run_id": part.run_id, "part": part.number, "channel": part.channel}
    lines = [head, *part.recipients]
    text = "\n".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines)
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def part_from(content: bytes) -> Part:
    """A part as it was written.

    Raises:
        ValueError: it has another form.
    """
    first, *lines = gzip.decompress(content).decode().split("\n")
    head = json.loads(first)
    if head["form"] != FORM:
        raise ValueError(f"a part of form {head['form']}: this process knows form {FORM}")
    recipients = tuple(map(Recipient._make, json.loads("[" + ",".join(lines) + "]")))
    return Part(head["run_id"], head["part"], head["channel"], recipients)


# ---------------------------------------------------------------- time


def quiet_until(now: datetime, quiet: Quiet | None, time_zone: str) -> datetime | None:
    """When quiet hours end that last just now; None: they do not."""
    if quiet is None or quiet.begins == quiet.ends:
        return None
    here = now.astimezone(zone(time_zone))
    minute = here.hour * 60 + here.minute
    over_night = quiet.begins > quiet.ends
    inside = (minute >= quiet.begins or minute < quiet.ends) if over_night else quiet.begins <= minute < quiet.ends
    if not inside:
        return None
    day = here.date() + timedelta(days=1 if minute >= quiet.ends else 0)
    end = datetime(day.year, day.month, day.day, quiet.ends // 60, quiet.ends % 60, tzinfo=zone(time_zone))
    return end.astimezone(UTC)


def delay_until(at: datetime, now: datetime) -> int:
    """Whole seconds for which a queue is to hide a message that is to be seen at an instant, or as long as it can."""
    seconds = -(-(at - now) // timedelta(seconds=1))
    return min(max(seconds, 1), DELAY_MAX)


# ---------------------------------------------------------------- who is next


def ready(state: PartState, part: Part, now: datetime) -> tuple[list[int], datetime | None]:
    """Places of those whose turn it is, and when the next one's hour comes where some have to wait for it."""
    at = milliseconds(now)
    waiting = state.pending()
    hours = [part.recipients[place].not_before for place in waiting]
    turn = [place for place, hour in zip(waiting, hours, strict=True) if hour <= at]
    later = min((hour for hour in hours if hour > at), default=None)
    return turn, from_milliseconds(later) if later is not None else None


def with_outcomes(outcomes: str, decided: Mapping[int, Outcome]) -> str:
    """Letters of a part with those at some places put in."""
    if not decided:
        return outcomes
    letters = list(outcomes)
    for place, outcome in decided.items():
        letters[place] = outcome.value
    return "".join(letters)


def taken_over(state: PartState, *, idempotent: bool) -> dict[int, Outcome]:
    """What becomes of those whom a worker asked about that is gone: asked again, or unknown for good."""
    became = Outcome.ASKED if idempotent else Outcome.UNKNOWN
    return {place: became for place in state.claim if state.outcomes[place] in PENDING}


def given_up(state: PartState, why: Outcome) -> dict[int, Outcome]:
    """The outcome of all who are pending when nothing more is sent: of those once asked about nothing is known."""
    return {place: Outcome.UNKNOWN if state.outcomes[place] == Outcome.ASKED else why for place in state.pending()}


def outcome_of_result(result: Result | None, *, idempotent: bool) -> Outcome:
    """What a provider's answer about a recipient means; open: nothing went out, and another try may do better.

    Args:
        result: None when it said nothing that can be understood.
    """
    status = result.status if result is not None else "unknown"
    if status == "sent":
        return Outcome.SENT
    if status == "refused":
        return Outcome.REFUSED
    if status == "not_sent":
        return Outcome.OPEN
    return Outcome.ASKED if idempotent else Outcome.UNKNOWN


def dropped(before: str, why: Outcome) -> Outcome:
    """The outcome of somebody who may not be written to now: of who was asked about once, it is unknown."""
    return Outcome.UNKNOWN if before == Outcome.ASKED else why


def counted(outcomes: str) -> Counter[Outcome]:
    """How many recipients have each outcome."""
    return Counter({_LETTERS[letter]: count for letter, count in Counter(outcomes.lower()).items()})


def outcome_of(letter: str) -> Outcome:
    """The outcome that a letter of a part's item stands for."""
    return _LETTERS[letter.lower()]


def untold(outcomes: str) -> list[int]:
    """Places of recipients who are decided and of whom the lake has no row."""
    return [place for place, letter in enumerate(outcomes) if letter.islower()]


def told(outcomes: str) -> str:
    """Letters of which the lake has the rows."""
    return outcomes.upper()


# ---------------------------------------------------------------- rows of the lake


def row(
    run: Run, channel: str, recipient: Recipient, name: str, outcome: Outcome, at: int, provider: str, cost_micro: int
) -> Row:
    """What the lake says of a recipient of a run, of whose delivery the name is."""
    return {
        "row_id": name,
        "member_id": recipient.member_id,
        "source": run.source,
        "source_id": run.source_id,
        "step": run.step,
        "run_id": run.run_id,
        "channel": channel,
        "variant": recipient.variant,
        "outcome": outcome.kind,
        "reason": outcome.reason,
        "at": at,
        "provider": provider,
        "cost_micro": cost_micro,
        "delivery_id": name,
    }


def summed(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """Counters of several shards in one."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total


# ---------------------------------------------------------------- addresses


_OF_A_MEMBER = ("app", "webhook")
"""Channels that reach a member by their id."""


def address_of(contact: Mapping[str, Any], channel: str, member_id: str) -> str:
    """Where a member is written to by a channel; empty: nowhere."""
    if channel == "email":
        return contact.get("email") or ""
    if channel == "sms":
        return contact.get("mobile") or ""
    if channel in _OF_A_MEMBER:
        return member_id
    return next((str(id_) for source, id_ in contact.get("external_ids", ()) if source == channel), "")


# ---------------------------------------------------------------- tests

_TEST = {
    "zh": ("【测试】", "这是一封测试消息：其中的积分与优惠并未发放，也不作为承诺。"),
    "en": ("[Test] ", "This is a test: points and offers in it are not given, and not promised."),
}
_HEADS = tuple(re.compile(rf"<{tag}\b[^>]*>", re.IGNORECASE) for tag in ("body", "html", "!doctype"))


def marked_as_test(subject: str, text: str, html: str, language: str) -> tuple[str, str, str]:
    """A message that says of itself that it is a test: its subject does, and a mail's first line.

    One without a subject says it at the end of its text, as a signature stands at the front. What a provider fills into
    its own template (text messages in China, WeChat) stays as it is.
    """
    mark, says = _TEST.get(language, _TEST["en"])
    if html:
        head = next((found for each in _HEADS if (found := each.search(html))), None)
        place = head.end() if head is not None else 0
        html = f'{html[:place]}<p style="font-size:14px;color:#b00020">{says}</p>{html[place:]}'
        text = f"{says}\n\n{text}"
    elif not subject and text:
        text = f"{text} {mark.strip()}"
    return (mark + subject if subject else subject), text, html
