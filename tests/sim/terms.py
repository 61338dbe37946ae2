"""Terms of programs as runs draw them."""

from random import Random
from typing import Any

from chalicelib.programs.models import DEFAULT_TERMS


def drawn_terms(seed: int, chance: Random) -> dict[str, Any]:
    """Terms of a program, in plain values; what matters most takes turns, so that few seeds see all of it."""
    expiry = {
        "mode": chance.choice(("rolling", "rolling", "rolling", "end_of_year", "never")),
        "months": chance.choice((1, 2, 3, 12)),
        "years": chance.choice((0, 1)),
        "bucket": ("month", "day")[seed // 2 % 2],
    }
    tiers = [
        {"tier_id": f"t{place}", "name": {"zh": f"级{place}", "en": f"Tier {place}"}, "threshold": threshold,
         "multiplier_percent": percent, "birthday_points": gift}
        for place, (threshold, percent, gift) in enumerate(((0, 100, 20), (100, 110, 50), (300, 150, 0)))
    ]  # fmt: skip
    qualification = {
        "window": chance.choice(("rolling", "calendar_year")),
        "months": chance.choice((1, 3, 12)),
        "at_end": chance.choice(("keep", "step_down", "earned_level")),
    }
    return {
        **DEFAULT_TERMS,
        "time_zone": chance.choice(("Asia/Shanghai", "America/New_York", "UTC")),
        "earn_rate": drawn_rate(chance),
        "expiry": expiry,
        "ladder": {"tiers": tiers, "qualification": qualification},
        "pending_days": (0, 3, 0, 14)[seed // 3 % 4],
        "notices": {"expiring_days": chance.choice((14, 3, None))},
        "negative_balance": ("owe", "cap", "pending_only")[seed % 3],
        "transfers": drawn_transfers(chance),
    }


def drawn_transfers(chance: Random) -> dict[str, Any]:
    """Terms of giving points to each other."""
    return {
        "enabled": chance.random() < 0.95,
        "max_points": 60,
        "max_points_per_month": chance.choice((70, 70, 20_000)),
        "fee_percent": chance.choice((0, 3, 10)),
        "accept_days": chance.choice((1, 2, 7, 30)),
    }


def drawn_rate(chance: Random) -> dict[str, Any]:
    """An earn rate."""
    return {"points": chance.choice((1, 1, 3)), "per_minor": 100, "rounding": chance.choice(("down", "half_up", "up"))}
