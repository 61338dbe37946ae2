"""Plans agree with those who send about who consents to a topic of marketing."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import duckdb

from chalicelib.campaigns.rules import picking
from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.ids import MemberNumber
from chalicelib.lake import folding
from chalicelib.members.models import Consent, Contact, Profile
from chalicelib.members.rules import may_contact
from tests.makers import a_member_id

NOON = datetime(2026, 3, 15, 4, tzinfo=UTC)
PURPOSES = ("marketing", "marketing_news", "marketing_wine")
CHANNELS = (None, ContactChannel.SMS, ContactChannel.EMAIL)


def _history(chance: random.Random) -> list[Consent]:
    """What somebody said last of some purposes and channels, some of it at the same moment."""
    pairs = [(purpose, channel) for purpose in PURPOSES for channel in CHANNELS]
    return [
        Consent(
            purpose=purpose, channel=channel, granted=chance.random() < 0.6, text_version="1",
            at=NOON + timedelta(minutes=chance.randint(0, 5)), source=None,
        )
        for purpose, channel in chance.sample(pairs, chance.randint(0, len(pairs)))
    ]  # fmt: skip


def _kept(said: list[Consent]) -> list[list[object]]:
    """As a profile's item has it."""
    return [
        [each.purpose, each.granted, "1", milliseconds(each.at), *([each.channel.value] if each.channel else [])]
        for each in said
    ]


def test_a_plan_and_a_send_agree_whoever_said_what_when() -> None:
    chance, con = random.Random(7), duckdb.connect()
    histories = [_history(chance) for _ in range(600)]
    con.execute("CREATE TABLE people (n INTEGER, consents VARCHAR[], withdrawn VARCHAR[])")
    rows = [(number, *folding._consents(_kept(said))) for number, said in enumerate(histories)]
    con.executemany("INSERT INTO people VALUES (?, ?, ?)", rows)
    for purpose, channel in itertools.product(PURPOSES, (ContactChannel.SMS, ContactChannel.EMAIL, ContactChannel.APP)):
        values = picking._said_of(purpose, channel.value)
        answer = con.execute(f"SELECT {picking._agrees(purpose)} FROM people ORDER BY n", values).fetchall()
        for said, (agrees,) in zip(histories, answer, strict=True):
            profile = Profile(
                member_id=a_member_id(),
                member_number=MemberNumber.from_chance(7),
                joined_at=NOON,
                contact=Contact(name="A"),
                consents=tuple(said),
            )
            assert agrees is may_contact(profile, purpose, channel), (purpose, channel, said)
