"""Segments that every program has: classes of recency, frequency and spending, stages, and what is coming up. Pure.

The classes cut the 25 cells of recency × frequency into parts: who has scores is in exactly one of them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from chalicelib.kernel.ids import SegmentId
from chalicelib.kernel.languages import Language
from chalicelib.segments.models import DEFINITION, Definition, InStage, Rfm, Segment, SegmentKind, Stage

_SINCE = datetime(2026, 1, 1, tzinfo=UTC)

CLASSES: Mapping[str, tuple[str, str, tuple[int, ...], tuple[int, ...]]] = {
    "champions": ("重要价值客户", "Champions", (5,), (4, 5)),
    "loyal": ("忠诚客户", "Loyal", (3, 4), (4, 5)),
    "potential_loyal": ("潜力客户", "Potentially loyal", (4, 5), (2, 3)),
    "newcomers": ("新近客户", "Newcomers", (5,), (1,)),
    "promising": ("有希望的客户", "Promising", (4,), (1,)),
    "need_attention": ("需要关注", "Need attention", (3,), (3,)),
    "about_to_sleep": ("即将沉睡", "About to sleep", (3,), (1, 2)),
    "at_risk": ("流失预警", "At risk", (1, 2), (3, 4)),
    "cant_lose": ("重要挽留客户", "Not to be lost", (1, 2), (5,)),
    "hibernating": ("冬眠客户", "Hibernating", (2,), (1, 2)),
    "gone": ("已流失客户", "Gone", (1,), (1, 2)),
}
"""Name in Chinese and English, and the scores of recency and frequency of each class."""

_STAGES: Mapping[str, tuple[str, str, Stage]] = {
    "stage_new": ("新客", "New", Stage.NEW),
    "stage_active": ("活跃会员", "Active", Stage.ACTIVE),
    "stage_sleeping": ("沉睡会员", "Sleeping", Stage.SLEEPING),
    "stage_lost": ("流失会员", "Lost", Stage.LOST),
}

_COMING: Mapping[str, tuple[str, str, str]] = {
    "birthday_soon": (
        "7 天内过生日",
        "Birthday within 7 days",
        '{"kind":"field","name":"birthday","op":"in_next_days","days":7}',
    ),
    "points_expiring": (
        "30 天内有积分到期",
        "Points that expire within 30 days",
        '{"kind":"field","name":"points_expiring","days":30,"op":"at_least","value":1}',
    ),
    "never_bought": (
        "从未消费",
        "Never bought anything",
        '{"kind":"purchases","measure":"count","op":"is","value":0}',
    ),
}


def _made() -> dict[SegmentId, tuple[str, str, Definition]]:
    made: dict[SegmentId, tuple[str, str, Definition]] = {}
    for name, (zh, en, recency, frequency) in CLASSES.items():
        made[_id(name)] = (zh, en, Rfm(kind="rfm", recency=recency, frequency=frequency))
    for name, (zh, en, stage) in _STAGES.items():
        made[_id(name)] = (zh, en, InStage(kind="stage", stages=(stage,)))
    for name, (zh, en, text) in _COMING.items():
        made[_id(name)] = (zh, en, DEFINITION.validate_json(text))
    return made


def _id(name: str) -> SegmentId:
    return SegmentId(f"seg_ready_{name}")


_READY = _made()

READY_IDS: tuple[SegmentId, ...] = tuple(_READY)
"""The ids of all of them, in the order in which they are listed."""


def ready(segment_id: SegmentId, language: Language = Language.ZH) -> Segment | None:
    """A ready segment, or None."""
    found = _READY.get(segment_id)
    if found is None:
        return None
    zh, en, definition = found
    return Segment(
        segment_id=segment_id, name=zh if language is Language.ZH else en, kind=SegmentKind.LIVE, definition=definition,
        ready=True, created_at=_SINCE, created_by="regulars", edited_at=_SINCE,
    )  # fmt: skip
