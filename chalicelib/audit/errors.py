"""What the audit trail refuses."""

from chalicelib.kernel.errors import Refusal


class AuditEntryUnknown(Refusal):
    """There is no such audit entry."""

    def __init__(self, *, audit_id: str) -> None:
        super().__init__(f"There is no audit entry {audit_id}.", audit_id=audit_id)


class SpanWrong(Refusal):
    """The time asked for ends before it begins, or is longer than can be listed without naming somebody."""

    def __init__(self, *, days: int) -> None:
        super().__init__(
            f"Name a time that ends after it begins; at most {days} days of it unless member_id or staff_id is named.",
            days=days,
        )


class LinkTaken(Exception):
    """Another link came first, or a record of it is chained already. Never leaves the service."""
