"""HTTP of the audit trail. Nobody writes here: records come with what they record."""

from chalicelib.api.routing import Call, Routes
from chalicelib.audit import service
from chalicelib.audit.errors import AuditEntryUnknown, SpanWrong
from chalicelib.audit.models import AuditEntryDetail, AuditEntryView, AuditQuery
from chalicelib.kernel.ids import AuditId
from chalicelib.kernel.pages import CursorInvalid, Page

audit = Routes("audit")


class AuditEntryPage(Page[AuditEntryView]):
    """A page of audit entries."""


@audit.get("/audit-entries", refuses=(CursorInvalid, SpanWrong))
def list_audit_entries(query: AuditQuery, call: Call) -> AuditEntryPage:
    """What staff and integrations changed, newest first: by member, by who did it, by action, by time.

    Without a member or a name the last seven days are listed. A page may be short, or empty, and still go on.
    """
    asked = query.model_dump_json(exclude={"cursor", "limit"})
    scope = ("audit-entries", asked)
    after = call.position(query.cursor, *scope)
    part = service.list_entries(call.house.table, call.words, query, after=after, now=call.now)
    return call.page(part, AuditEntryPage, *scope)


@audit.get("/audit-entries/{audit_id}", refuses=(AuditEntryUnknown,))
def get_audit_entry(audit_id: AuditId, call: Call) -> AuditEntryDetail:
    """An audit entry, with what proves that it stands in the chain of its day, unchanged."""
    return service.find_entry(call.house.table, call.words, call.house.roots, audit_id)
