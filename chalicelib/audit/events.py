"""What the audit trail tells others."""

from typing import Annotated

from pydantic import StringConstraints

from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import AccountId, AuditId
from chalicelib.kernel.records import Slug, Subject

Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class AuditRecorded(Told):
    """Somebody changed something, and an audit record says what. What it says stays where it is: read it by its id."""

    audit_id: AuditId
    hash: Hash
    """SHA-256 of the record: what the chain covers of it."""
    recorded_by: Subject
    """Who did it."""
    action: Slug
    about: tuple[AccountId, ...]
    """Members, pools and cards that it is about."""
