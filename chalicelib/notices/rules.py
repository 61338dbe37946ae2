"""Who is told what, where and in which words. Pure."""

from datetime import date
from typing import Any

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.languages import Language
from chalicelib.members.models import Profile
from chalicelib.members.rules import may_contact
from chalicelib.notices.models import CONSENT_PURPOSE, Channel
from chalicelib.points.events import BirthdayGiftGiven, PointsExpiring, PointsReleased, TierChanged, TierReviewed
from chalicelib.programs.models import Program
from chalicelib.transfers.events import PointsReceived


def address_of(profile: Profile) -> tuple[Channel, str] | None:
    """Where a member is told: by mobile, else by e-mail; None for who has neither, or wants to be told by neither."""
    known = ((Channel.SMS, profile.contact.mobile), (Channel.EMAIL, profile.contact.email))
    for channel, address in known:
        if address and may_contact(profile, CONSENT_PURPOSE, ContactChannel(channel.value)):
            return channel, address
    return None


def worded(data: Any, program: Program, language: Language) -> tuple[str, str] | None:
    """Subject and text of what an event tells a member, or None when it is nothing to tell.

    A review that changed the tier is told by `TierChanged`; one that kept it is good news of its own.
    """
    name = program.name.in_(language)
    told = _zh(data, program) if language is Language.ZH else _en(data, program)
    if told is None:
        return None
    subject, text = told
    return subject, (f"【{name}】{text}" if language is Language.ZH else f"{name}: {text}")


def _zh(data: Any, program: Program) -> tuple[str, str] | None:
    match data:
        case BirthdayGiftGiven():
            return "生日快乐", f"生日快乐！送您 {data.points} 积分{_until_zh(data.expires_on)}，祝您天天开心。"
        case PointsExpiring():
            return "积分即将过期", f"您有 {data.points} 积分在 {_zh_day(data.expires_on)}之后过期，请及时使用。"
        case PointsReleased():
            return "积分已生效", f"您有 {data.points} 积分已生效，现在可以使用。"
        case PointsReceived():
            return "收到转赠积分", f"您收到另一位会员转赠的 {data.points} 积分。"
        case TierChanged():
            before, after = _tier(data.tier_before, program, Language.ZH), _tier(data.tier_after, program, Language.ZH)
            if _rises(data, program):
                return "会员升级", f"恭喜您升级为{after}！"
            return "会员等级变更", f"您的会员等级已由{before}调整为{after}。"
        case TierReviewed() if data.tier_before == data.tier_after and data.held_through:
            return "会员保级成功", (
                f"恭喜您保级成功，{_tier(str(data.tier_after), program, Language.ZH)}有效期至"
                f"{_zh_day(data.held_through)}。"
            )
    return None


def _en(data: Any, program: Program) -> tuple[str, str] | None:
    match data:
        case BirthdayGiftGiven():
            until = f", good until {data.expires_on}" if data.expires_on else ""
            return "Happy birthday", f"Happy birthday! {data.points} points are yours{until}."
        case PointsExpiring():
            return "Points expire soon", f"{data.points} of your points expire after {data.expires_on}. Do use them."
        case PointsReleased():
            return "Points ready to spend", f"{data.points} of your points can be spent now."
        case PointsReceived():
            return "Points received", f"You received {data.points} points from another member."
        case TierChanged():
            before, after = _tier(data.tier_before, program, Language.EN), _tier(data.tier_after, program, Language.EN)
            if _rises(data, program):
                return "A higher tier", f"Congratulations, you are {after} now."
            return "Your tier has changed", f"Your tier has changed from {before} to {after}."
        case TierReviewed() if data.tier_before == data.tier_after and data.held_through:
            tier = _tier(str(data.tier_after), program, Language.EN)
            return "You keep your tier", f"You keep {tier} until {data.held_through}."
    return None


def _rises(data: TierChanged, program: Program) -> bool:
    ranks = {tier.tier_id: rank for rank, tier in enumerate(program.ladder.tiers)}
    return ranks.get(data.tier_after, 0) > ranks.get(data.tier_before, 0)


def _tier(tier_id: str, program: Program, language: Language) -> str:
    return program.tier(tier_id).name.in_(language)


def _until_zh(day: date | None) -> str:
    return f"（有效期至{_zh_day(day)}）" if day else ""


def _zh_day(day: date) -> str:
    return f"{day.year}年{day.month}月{day.day}日"
