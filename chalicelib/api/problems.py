"""Refusals and trouble as RFC 9457 problems. The only file that knows status codes."""

import json
from typing import Any

from chalicelib.api.errors import RequestInvalid
from chalicelib.kernel.errors import Refusal, Trouble

STATUS: dict[str, int] = {
    # the request as such
    "body_missing": 400,
    "body_malformed": 400,
    "key_missing": 400,
    "key_malformed": 400,
    "cursor_invalid": 400,
    "version_unclear": 400,
    "token_missing": 401,
    "token_invalid": 401,
    "code_wrong": 401,
    "refresh_invalid": 401,
    "permission_missing": 403,
    "shop_not_yours": 403,
    "staff_suspended": 403,
    "own_rights": 403,
    "sign_in_stale": 403,
    "approval_own": 403,
    "rights_exceeded": 403,
    "rights_not_yours": 403,
    "id_malformed": 404,
    "route_unknown": 404,
    "method_not_allowed": 405,
    "body_too_slow": 408,
    "body_too_large": 413,
    "content_type_unsupported": 415,
    "head_too_large": 431,
    "request_invalid": 422,
    # what is named does not exist
    "member_unknown": 404,
    "member_erased": 410,
    "purchaser_unknown": 404,
    "pool_unknown": 404,
    "purchase_unknown": 404,
    "merge_unknown": 404,
    "hold_unknown": 404,
    "recipient_unknown": 404,
    "transfer_unknown": 404,
    "entry_unknown": 404,
    "program_version_unknown": 404,
    "run_unknown": 404,
    "card_unknown": 404,
    "staff_unknown": 404,
    "approval_unknown": 404,
    "role_unknown": 404,
    "card_entry_unknown": 404,
    "liability_unknown": 404,
    "not_member": 404,
    "session_unknown": 404,
    "integration_key_unknown": 404,
    "audit_entry_unknown": 404,
    "alert_unknown": 404,
    "opt_out_unknown": 404,
    # what is said cannot be right, whatever the state
    "adjustment_empty": 400,
    "roles_unknown": 400,
    "birthday_in_future": 400,
    "currency_wrong": 400,
    "delivered_before_bought": 400,
    "country_not_served": 400,
    "custom_field_invalid": 400,
    "custom_field_missing": 400,
    "custom_field_unknown": 400,
    "expiry_over": 400,
    "expiry_past": 400,
    "expiry_too_far": 400,
    "identifier_needed": 400,
    "member_number_wrong": 400,
    "mobile_invalid": 400,
    "occurred_in_future": 400,
    "occurred_too_long_ago": 400,
    "return_line_unknown": 400,
    "returned_before_bought": 400,
    "run_day_wrong": 400,
    "transfer_to_self": 400,
    "tender_too_large": 400,
    "instant_in_future": 400,
    "span_wrong": 400,
    "tender_too_small": 400,
    "tender_uneven": 400,
    "extension_not_later": 400,
    "refund_unclear": 400,
    # what is asked does not fit the state
    "balance_remaining": 409,
    "balance_too_large": 409,
    "card_balance_insufficient": 409,
    "card_closed": 409,
    "card_differs": 409,
    "card_empty": 409,
    "card_kind_wrong": 409,
    "card_limit_exceeded": 409,
    "card_not_empty": 409,
    "cards_hold_value": 409,
    "card_number_taken": 409,
    "card_refund_too_large": 409,
    "card_refund_too_wide": 409,
    "card_suspended": 409,
    "card_taken": 409,
    "consent_needed": 409,
    "currency_fixed": 409,
    "delivery_differs": 409,
    "delivery_not_awaited": 409,
    "email_taken": 409,
    "enrolment_differs": 409,
    "erasure_blocked": 409,
    "export_too_large": 409,
    "entry_differs": 409,
    "entry_not_reversible": 409,
    "external_id_taken": 409,
    "identifier_taken": 409,
    "holds_open": 409,
    "identifiers_too_many": 409,
    "member_closed": 409,
    "member_merged": 409,
    "member_moved": 409,
    "member_suspended": 409,
    "members_same": 409,
    "merge_differs": 409,
    "mobile_taken": 409,
    "capture_too_large": 409,
    "hold_over": 409,
    "holds_too_many": 409,
    "not_in_pool": 409,
    "owner_needed": 409,
    "points_insufficient": 409,
    "pool_closed": 409,
    "pool_differs": 409,
    "pool_full": 409,
    "pool_limit_reached": 409,
    "pool_moved": 409,
    "program_moved": 409,
    "nothing_left": 409,
    "role_forbids": 409,
    "purchase_differs": 409,
    "purchase_fixed": 409,
    "purchase_moved": 409,
    "return_differs": 409,
    "reversal_differs": 409,
    "return_too_large": 409,
    "return_waited_too_long": 409,
    "too_many_waiting": 409,
    "uses_insufficient": 409,
    "velocity_exceeded": 409,
    "survivor_merged": 409,
    "undo_differs": 409,
    "undo_too_late": 409,
    "transfer_limit_reached": 409,
    "transfer_over": 409,
    "transfer_too_large": 409,
    "transfer_too_small": 409,
    "transfer_uncovered": 409,
    "transfers_off": 409,
    "liability_untied": 409,
    "admins_too_many": 409,
    "approval_differs": 409,
    "approval_needed": 409,
    "approval_outgrown": 409,
    "approval_over": 409,
    "last_admin": 409,
    "role_built_in": 409,
    "role_in_use": 409,
    "role_moved": 409,
    "roles_too_many": 409,
    "staff_differs": 409,
    "staff_moved": 409,
    "birthday_fixed": 409,
    "integration_key_differs": 409,
    "integration_key_over": 409,
    "rotation_differs": 409,
    # too often
    "code_too_soon": 429,
    "rate_exceeded": 429,
    "sign_in_locked": 429,
    "too_many_codes": 429,
    # ours
    "unexpected": 500,
    "issuer_unreachable": 503,
    "jobs_unavailable": 503,
    "receipts_unavailable": 503,
    "key_moved": 503,
    "lane_slow": 503,
    "sign_in_unavailable": 503,
    "storage_busy": 503,
    "write_contended": 503,
}
"""The status of each code; a test demands a row for every refusal and every kind of trouble."""

CONTENT_TYPE = "application/problem+json"


def problem(fault: Refusal | Trouble, *, instance: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body that tell a caller of a fault.

    Args:
        instance: the request's id.
    """
    status = STATUS[fault.code]
    body: dict[str, Any] = {
        "type": f"urn:regulars:problem:{fault.code}",
        "title": title_of(type(fault)),
        "status": status,
        "detail": fault.detail,
        "instance": f"urn:regulars:request:{instance}",
        "code": fault.code,
        "facts": fault.facts if isinstance(fault, Refusal) else {},
    }
    if isinstance(fault, RequestInvalid):
        body["errors"] = fault.errors
    headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
    if isinstance(fault, Trouble):
        headers["Retry-After"] = str(fault.retry_after)
    if status == 429 and isinstance(fault, Refusal):
        headers["Retry-After"] = str(fault.facts["retry_after"])
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return status, headers, json.dumps(body, ensure_ascii=False)


def title_of(kind: type[Refusal] | type[Trouble]) -> str:
    """A fault's title: the first sentence of its class."""
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0].rstrip(".")
