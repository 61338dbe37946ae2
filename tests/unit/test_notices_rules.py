"""What members are told, and where."""

import json
from datetime import date
from typing import Any

import pytest

from chalicelib.kernel.ids import EntryId, MemberNumber, TransferId
from chalicelib.kernel.languages import Language
from chalicelib.members.events import MemberContactChanged
from chalicelib.members.models import Consent, Contact, Profile
from chalicelib.notices.models import Channel
from chalicelib.notices.rules import address_of, worded
from chalicelib.points.events import BirthdayGiftGiven, PointsExpiring, PointsReleased, TierChanged, TierReviewed
from chalicelib.transfers.events import PointsReceived
from local.tables import TEMPLATE
from tests.makers import NOON, a_member_id, a_program

PROGRAM = a_program()
ENTRY: dict[str, Any] = {"entry_id": EntryId("ent_abcd"), "balance_after": 100, "points": 0, "program_version": 1}


def a_profile(consents: tuple[Consent, ...] = (), **contact: Any) -> Profile:
    return Profile(
        member_id=a_member_id(),
        member_number=MemberNumber.from_chance(1),
        contact=Contact(**contact),
        consents=consents,
        joined_at=NOON,
    )


def consent(purpose: str, granted: bool) -> Consent:
    return Consent(purpose=purpose, granted=granted, text_version="1", at=NOON)


def test_a_member_is_told_by_mobile_else_by_mail_else_not_at_all() -> None:
    assert address_of(a_profile(mobile="+8613800138000", email="a@b.cn")) == (Channel.SMS, "+8613800138000")
    assert address_of(a_profile(email="a@b.cn")) == (Channel.EMAIL, "a@b.cn")
    assert address_of(a_profile(card_no="1")) is None


def test_who_withdrew_the_consent_to_notices_is_told_nothing_and_other_consents_do_not_matter() -> None:
    mobile = "+8613800138000"
    assert address_of(a_profile((consent("notices", False),), mobile=mobile)) is None
    assert address_of(a_profile((consent("notices", True),), mobile=mobile)) is not None
    assert address_of(a_profile((consent("marketing", False),), mobile=mobile)) is not None


WORDS: list[tuple[Any, str | None, str | None]] = [
    (
        BirthdayGiftGiven(**{**ENTRY, "points": 200}, year=2026, tier_before=None, tier_after=None,
                          expires_on=date(2027, 3, 31)),
        "【常客会员】生日快乐！送您 200 积分（有效期至2027年3月31日），祝您天天开心。",
        "Regulars: Happy birthday! 200 points are yours, good until 2027-03-31.",
    ),
    (
        PointsExpiring(points=120, expires_on=date(2026, 3, 31)),
        "【常客会员】您有 120 积分在 2026年3月31日之后过期，请及时使用。",
        "Regulars: 120 of your points expire after 2026-03-31. Do use them.",
    ),
    (
        MemberContactChanged(given=(), replaced=("mobile",), changed_by=None),
        "【常客会员】您会员账户的手机号或邮箱已更改。如非您本人要求，请立即联系门店。",
        "Regulars: The mobile number or e-mail address of your membership was changed. If you did not ask for that, "
        "tell us at once.",
    ),
    (
        PointsReleased(points=30),
        "【常客会员】您有 30 积分已生效，现在可以使用。",
        "Regulars: 30 of your points can be spent now.",
    ),
    (
        PointsReceived(
            **{**ENTRY, "points": 30}, tier_before=None, tier_after=None,
            transfer_id=TransferId("trf_abcd"), from_member_id=a_member_id(),
        ),
        "【常客会员】您收到另一位会员转赠的 30 积分。",
        "Regulars: You received 30 points from another member.",
    ),
    (
        TierChanged(tier_before="basic", tier_after="gold", entry_id=None),
        "【常客会员】恭喜您升级为金卡！",
        "Regulars: Congratulations, you are Gold now.",
    ),
    (
        TierChanged(tier_before="gold", tier_after="silver", entry_id=None),
        "【常客会员】您的会员等级已由金卡调整为银卡。",
        "Regulars: Your tier has changed from Gold to Silver.",
    ),
    (
        TierReviewed(**ENTRY, tier_before="gold", tier_after="gold", held_through=date(2027, 3, 31)),
        "【常客会员】恭喜您保级成功，金卡有效期至2027年3月31日。",
        "Regulars: You keep Gold until 2027-03-31.",
    ),
    (TierReviewed(**ENTRY, tier_before="gold", tier_after="silver", held_through=date(2027, 3, 31)), None, None),
    (TierReviewed(**ENTRY, tier_before="basic", tier_after="basic", held_through=None), None, None),
]  # fmt: skip


@pytest.mark.parametrize(("data", "chinese", "english"), WORDS, ids=lambda each: type(each).__name__)
def test_what_is_told_reads_well_in_both_languages(data: Any, chinese: str | None, english: str | None) -> None:
    for language, expected in ((Language.ZH, chinese), (Language.EN, english)):
        words = worded(data, PROGRAM, language)
        assert (words[1] if words else None) == expected


def test_the_bus_hands_over_what_is_told_and_nothing_else() -> None:
    rule = json.loads(TEMPLATE.read_text())["Resources"]["NoticesRule"]["Properties"]["EventPattern"]
    assert sorted(rule["detail-type"]) == sorted({type(data).__name__ for data, chinese, _ in WORDS if chinese})
