"""Five hundred made-up members: who they are and how they live with the shop."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.kernel.ids import MemberId, MemberNumber
from local.demo.shop import DRINKS, NEWEST, SHOPS

ZONE = ZoneInfo("Asia/Shanghai")
DAYS = 400
"""Length of the history: a little over twelve months, so that the first points have expired."""

_LEAPLING = 7
"""One in fifty members was born on 29 February, so that it can be seen when they celebrate."""

SOURCE = "old_pos"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_SURNAMES = _words(
    "王 李 张 刘 陈 杨 黄 赵 周 吴 徐 孙 朱 马 胡 郭 林 何 高 梁 郑 罗 宋 谢 唐 "
    "韩 曹 许 邓 萧 冯 曾 程 蔡 彭 潘 袁 于 董 余 欧阳"
)
_PINYIN = _words(
    "wang li zhang liu chen yang huang zhao zhou wu xu sun zhu ma hu guo lin he gao liang zheng luo song xie tang han "
    "cao xu deng xiao feng zeng cheng cai peng pan yuan yu dong yu ouyang"
)
_GIVEN = _words(
    "伟 芳 娜 敏 静 磊 洋 艳 勇 杰 涛 明 霞 平 刚 桂英 建国 晓雯 子涵 雨桐 浩然 欣怡 宇轩 诗涵 思远 佳琪 梓萱 俊杰 "
    "一诺 若曦 嘉豪 梦琪 天佑 雅静 志强 文博 安琪 海燕 晨曦 立群"
)
_FOREIGN = ("Emma Brown", "Tom Baker", "Sofia Rossi", "Kenji Sato", "Anna Schmidt", "Lucas Martin", "Grace O'Neil")
_RARE_TAGS = (("豆友", 0.08), ("学生", 0.07), ("遛狗", 0.05), ("VIP", 0.02))
_COMPANIES = ("示例科技", "样本设计", "虚构传媒", "假想咨询", "某某律师事务所")


class Habit(StrEnum):
    """How somebody comes."""

    OFFICE = "office"
    REGULAR = "regular"
    WEEKEND = "weekend"
    OCCASIONAL = "occasional"
    ONCE = "once"


_HABITS = (
    (Habit.OFFICE, 0.01),
    (Habit.REGULAR, 0.11),
    (Habit.WEEKEND, 0.20),
    (Habit.OCCASIONAL, 0.44),
    (Habit.ONCE, 0.24),
)


@dataclass(frozen=True, slots=True)
class Person:
    """A member to be."""

    index: int
    habit: Habit
    joined_at: datetime
    shop_id: str
    number: MemberNumber
    enrolment: dict[str, Any]
    """The body of the command."""
    ends: str
    """`suspended`, `reinstated`, `closed`, or nothing of the kind."""

    @property
    def member_id(self) -> MemberId:
        """Follows from the number."""
        return MemberId.of(self.number)


def rng_for(index: int, what: str) -> Random:
    """Chance that is the same in every process: it depends on the member and the matter alone."""
    return Random(f"regulars demo {index} {what}")


def chance(index: int) -> int:
    """What a member's number is made from."""
    return int.from_bytes(hashlib.sha256(b"regulars demo member %d" % index).digest()[:8], "big")


def person(index: int, size: int, day: date) -> Person:
    """One of `size` members, as of the history that ends on a day."""
    rng = rng_for(index, "person")
    habit = _habit(index, rng)
    shop_id = rng.choice(SHOPS)
    joined_on = _joined_on(rng, habit, shop_id, day)
    joined_at = datetime.combine(joined_on, time(8 + rng.randrange(11), rng.randrange(60), rng.randrange(60)), ZONE)
    return Person(
        index=index,
        habit=habit,
        joined_at=joined_at,
        shop_id=shop_id,
        number=MemberNumber.from_chance(chance(index)),
        enrolment=_enrolment(index, rng, habit, shop_id, day),
        ends=_ends(index, size),
    )


def _habit(index: int, rng: Random) -> Habit:
    """The first few members show one of each kind, however small the demo is."""
    if index < len(_HABITS):
        return _HABITS[index][0]
    drawn = rng.random()
    for habit, share in _HABITS:
        drawn -= share
        if drawn < 0:
            return habit
    return Habit.ONCE


def _joined_on(rng: Random, habit: Habit, shop_id: str, day: date) -> date:
    """A day of the history; more of them towards its end, because the chain grows. Offices were there first."""
    ago = int((DAYS - 1) * (1 - rng.random() ** 0.7))
    if habit is Habit.OFFICE or rng.random() < 0.08:
        ago = DAYS - 1 - rng.randrange(20)
    return day - timedelta(days=min(ago, 180) if shop_id == NEWEST else ago)


def _ends(index: int, size: int) -> str:
    """What becomes of a few memberships; spread evenly, so that small demos have them too."""
    every = max(size // 24, 4)
    place, lap = index % every, index // every
    if place != every - 1:
        return ""
    return ("closed", "suspended", "reinstated")[lap % 3]


def _enrolment(index: int, rng: Random, habit: Habit, shop_id: str, day: date) -> dict[str, Any]:
    name, latin = _name(rng)
    custom: dict[str, Any] = {}
    if rng.random() < 0.55:
        custom["favourite_drink"] = rng.choice(DRINKS)
    if rng.random() < 0.25:
        custom["cups_a_week"] = 1 + rng.randrange(9)
    if rng.random() < 0.2:
        custom["own_cup"] = rng.random() < 0.6
    if habit is Habit.OFFICE:
        custom["company"] = _COMPANIES[index % len(_COMPANIES)]
    if rng.random() < 0.05:
        custom["last_tasting"] = (day - timedelta(days=20 + rng.randrange(200))).isoformat()
    body: dict[str, Any] = {
        "name": name,
        "gender": rng.choice(("female", "female", "male", "male", "unknown")),
        "shop_id": shop_id,
        "source": rng.choice(("till", "till", "miniapp", "web")),
        "tags": _tags(rng, habit),
        "custom": custom,
        "consents": _consents(rng),
    }
    # 199 0000 … passes for a mobile number and is plainly nobody's.
    if rng.random() < 0.94 or habit is Habit.OFFICE:
        body["mobile"] = f"199{index:08d}"
    if rng.random() < 0.4:
        body["email"] = f"{latin}{index}@example.com"
    if rng.random() < 0.3 or "mobile" not in body:
        body["card_no"] = f"RC{index:06d}"
    if rng.random() < 0.15:
        body["external_ids"] = [{"source": SOURCE, "id": f"A{10_000 + index}"}]
    if rng.random() < 0.7:
        born = date(1958 + rng.randrange(48), 1, 1) + timedelta(days=rng.randrange(365))
        if index % 50 == _LEAPLING:
            born = date(1992, 2, 29)
        body["birthday"] = born.isoformat() if rng.random() < 0.6 else f"--{born:%m-%d}"
    return body


def _name(rng: Random) -> tuple[str, str]:
    """A name, and what an e-mail address makes of it."""
    if rng.random() < 0.03:
        name = rng.choice(_FOREIGN)
        return name, name.lower().replace(" ", ".").replace("'", "")
    place = rng.randrange(len(_SURNAMES))
    return _SURNAMES[place] + rng.choice(_GIVEN), _PINYIN[place]


def _tags(rng: Random, habit: Habit) -> list[str]:
    tags = ["企业"] if habit is Habit.OFFICE else []
    if habit is Habit.REGULAR and rng.random() < 0.5:
        tags.append("常客")
    tags += [
        tag for tag, share in (("豆友", 0.08), ("学生", 0.07), ("遛狗", 0.05), ("VIP", 0.02)) if rng.random() < share
    ]
    return tags


def _consents(rng: Random) -> list[dict[str, Any]]:
    given = [{"purpose": "terms", "granted": True, "text_version": "2025-09"}]
    for channel, share in (("sms", 0.7), ("email", 0.4)):
        if rng.random() < 0.8:
            said = {"purpose": "marketing", "channel": channel, "text_version": "2025-09"}
            given.append({**said, "granted": rng.random() < share})
    return given
