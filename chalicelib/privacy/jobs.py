"""The function of the job `retention`: a queue and a role of its own, because no other job may erase anybody."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from chalicelib.jobs.jobs import work_parts, yard
from chalicelib.kernel.ids import MemberId
from chalicelib.privacy.service import retaining
from chalicelib.privacy.service.erasing import Places
from chalicelib.programs.service import book_of
from chalicelib.runtime.observe import log_fact
from chalicelib.runtime.wiring import house


@dataclass(frozen=True, slots=True)
class ByProgram:
    """Takes away what the program says: see `jobs.service.Keeper`."""

    places: Places

    def of_member(self, member_id: MemberId, *, dry_run: bool, now: datetime) -> int | None:
        """See `Keeper.of_member`. Who is blocked is told of in the log, and looked at again the next day."""
        terms = retaining.terms_of(self.places.book.current(now))
        done = retaining.retain_member(self.places, member_id, terms, dry_run=dry_run, now=now)
        if done.blocked:
            log_fact("retention", {"blocked": 1, "member": member_id})
        return 0 if done.members or done.consent_changes else None

    def of_nobody(self, *, dry_run: bool, now: datetime) -> None:
        """See `Keeper.of_nobody`."""
        showings = retaining.retain_showings(self.places.table, dry_run=dry_run, now=now)
        lines = retaining.retain_reach_changes(self.places.table, dry_run=dry_run, now=now)
        log_fact("retention", {"showings": showings, "reach_changes": lines, "dry_run": dry_run})


def work_retention(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Do parts of runs of the job `retention`; those that failed are named, and the queue gives them again."""
    here = house()
    keeper = ByProgram(Places(here.table, here.ops, here.keyring, here.roots, book_of(here.table)))
    return work_parts(replace(yard(), keeper=keeper), event, "work_retention")
