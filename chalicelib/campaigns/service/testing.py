"""How many tests somebody may have sent: a test needs no launch, so else it would be a way to send without one."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

from chalicelib.campaigns import store
from chalicelib.campaigns.errors import TestsMoved, TestsTooMany
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import CampaignId, MemberId
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.table import Table

TESTS_A_DAY = 20
"""Of one sender to one member."""
ATTEMPTS_MAX = 8


def count_tests(
    ops: Table,
    book: ProgramBook,
    campaign_id: CampaignId,
    key: str,
    member_ids: Sequence[MemberId],
    *,
    by: str,
    now: datetime,
) -> None:
    """Count tests of today to members, all or none. The same command again counts nothing.

    Args:
        by: who has them sent.

    Raises:
        TestsTooMany: one of them was sent as many today.
        WriteContended: others are counted all the time; safe to try again.
    """
    day = local_day(now, book.current(now).time_zone)
    mark = hashlib.sha256(f"{campaign_id}\n{key}".encode()).hexdigest()[:16]
    for _ in range(ATTEMPTS_MAX):
        known = store.find_tested(ops, day, by, dict.fromkeys(member_ids))
        new = {each: found for each, found in known.items() if mark not in found[0]}
        for member_id, (marks, _version) in new.items():
            if len(marks) >= TESTS_A_DAY:
                raise TestsTooMany(member_id=member_id, most=TESTS_A_DAY)
        if not new:
            return
        try:
            ops.commit([store.keep_tested(day, by, each, (*had, mark), at, now) for each, (had, at) in new.items()])
        except TestsMoved:
            continue
        return
    raise WriteContended
