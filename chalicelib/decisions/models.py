"""Decisions: the commands, and what of the list is asked for."""

from typing import Literal

from chalicelib.kernel.pages import Paging
from chalicelib.kernel.records import Note, Record


class Approve(Record):
    """Approve what somebody else asked for, and carry it out."""

    reason: Note | None = None


class Reject(Record):
    """Reject what somebody else asked for."""

    reason: Note


class ApprovalsAsked(Paging):
    """Which part of the list is asked for."""

    status: Literal["waiting", "approved", "rejected", "lapsed"] | None = None
