"""Who is held out and who gets which variant: by a hash with the campaign's salt, so that a plan made again comes to
the same, and a member's place tells nothing about the member. Pure.
"""

import hashlib
from collections.abc import Sequence
from itertools import accumulate

from chalicelib.campaigns.models import Variant

DIGITS = 13
"""Hexadecimal digits of a draw, 52 bits: exact in any arithmetic."""

RANGE: int = 16**DIGITS


def draws(salt: str, step: str, member_id: str) -> tuple[int, int]:
    """Two independent draws below `RANGE`, for being held out and for the variant."""
    text = hashlib.sha256(f"{salt}/{step}/{member_id}".encode()).hexdigest()
    return int(text[:DIGITS], 16), int(text[DIGITS : 2 * DIGITS], 16)


def held_out_below(percent: int) -> int:
    """Whose first draw is lower is held out."""
    return RANGE * percent // 100


def variants_below(variants: Sequence[Variant]) -> tuple[int, ...]:
    """For each variant, the end of the second draws that get it."""
    sums = list(accumulate(each.weight for each in variants))
    return tuple(RANGE * each // sums[-1] for each in sums)


def assigned(salt: str, step: str, member_id: str, percent: int, variants: Sequence[Variant]) -> tuple[bool, str]:
    """Whether a member is held out, and the variant that they get, or would get."""
    first, second = draws(salt, step, member_id)
    ends = variants_below(variants)
    variant = next(each.name for each, end in zip(variants, ends, strict=True) if second < end)
    return first < held_out_below(percent), variant
