"""The policy: for every route what it needs, whose thing it touches, and who is let in at all. One table.

A route that is not in it cannot be declared, so it cannot start. Whose thing a path leads to is found by the finder of
that name, which the domain registers (`routing.Routes.owned`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.identity.models import Kind
from chalicelib.identity.permissions import Permission, Scope

P = Permission


@dataclass(frozen=True, slots=True)
class Rule:
    """What a route asks of its caller.

    Attributes:
        needs: the permission; None on the few routes that anyone may call, or anyone who is signed in.
        of: the finder that tells whose thing the path leads to; empty where it is nobody's in particular.
        least: the narrowest scope that gets in.
        at_shop: the body names a shop, which has to be one of the caller's where the permission reaches to those only.
        signed_in: whoever is signed in may call, with no permission at all.
        by: the only kind of caller that gets in, where there is one.
        beyond: the permissions, besides, of who goes beyond what everybody may who is let in. Whether
            somebody does shows in the command, so the use case asks for it.
        paced: how often a network address calls is counted. Not so of providers, which tell of a whole campaign from a
            few addresses, and prove who they are.
        audited: whatever staff or an integration writes by it gets an audit record in the same transaction (ADR 0039).
            Not so where a ledger entry says it all, which names who had it made: what tills do all day, unless it gives
            what nobody paid for.
    """

    needs: Permission | None
    of: str = ""
    least: Scope = Scope.SELF
    at_shop: bool = False
    signed_in: bool = False
    by: Kind | None = None
    audited: bool = True
    beyond: tuple[Permission, ...] = ()
    paced: bool = True

    @property
    def open(self) -> bool:
        """Whether anyone may call, signed in or not."""
        return self.needs is None and not self.signed_in


OPEN = Rule(None)
SIGNED_IN = Rule(None, signed_in=True)


def _staff(needs: Permission, of: str = "", *, at_shop: bool = False, beyond: tuple[Permission, ...] = ()) -> Rule:
    """For those who work here, not for members themselves."""
    return Rule(needs, of, Scope.SHOP, at_shop, beyond=beyond)


def _till(needs: Permission, of: str = "", *, at_shop: bool = False, beyond: tuple[Permission, ...] = ()) -> Rule:
    """What tills do all day: the ledger entry that it makes is its record."""
    return Rule(needs, of, Scope.SHOP, at_shop, audited=False, beyond=beyond)


def _head_office(needs: Permission) -> Rule:
    """For those who may do it for all shops."""
    return Rule(needs, least=Scope.ALL)


def _own(needs: Permission) -> Rule:
    """For a member, about themselves: whose it is follows from who is signed in."""
    return Rule(needs, by=Kind.MEMBER, audited=False)


POLICY: Mapping[str, Rule] = {
    "GET /health": OPEN,
    "GET /openapi.json": OPEN,
    "GET /receipt-keys": OPEN,
    "GET /whoami": SIGNED_IN,
    # members sign in
    "POST /auth/otp-requests": OPEN,
    "POST /auth/tokens": OPEN,
    "GET /auth/keys": OPEN,
    # who has a message may end messages of its kind
    "GET /opt-outs/{token}": OPEN,
    "POST /opt-outs/{token}": OPEN,
    # providers tell what became of messages, and prove that it is them
    "GET /provider-callbacks/{provider}/{secret}": Rule(None, paced=False),
    "POST /provider-callbacks/{provider}/{secret}": Rule(None, paced=False),
    "GET /preferences/{token}": OPEN,
    "POST /preferences/{token}": OPEN,
    # what is a member's own
    "GET /me": _own(P.MEMBERS_READ),
    "PATCH /me": _own(P.MEMBERS_WRITE),
    "POST /me/contact-changes": _own(P.MEMBERS_WRITE),
    "GET /me/timeline": _own(P.MEMBERS_READ),
    "GET /me/points": _own(P.POINTS_READ),
    "GET /me/tier": _own(P.POINTS_READ),
    "GET /me/point-entries": _own(P.POINTS_READ),
    "GET /me/point-transfers": _own(P.POINTS_READ),
    "POST /me/point-transfers": _own(P.POINTS_TRANSFER),
    "GET /me/purchases": _own(P.PURCHASES_READ),
    "GET /me/cards": _own(P.CARDS_READ),
    "GET /me/pools": _own(P.POOLS_READ),
    "POST /me/pools/{pool_id}/contributions": Rule(P.POINTS_TRANSFER, "pool", by=Kind.MEMBER, audited=False),
    "POST /me/exports": _own(P.MEMBERS_READ),
    "POST /me/export-pages": _own(P.MEMBERS_READ),
    "POST /me/erasures": _own(P.MEMBERS_WRITE),
    "GET /me/consents": _own(P.MEMBERS_READ),
    "POST /me/consents": _own(P.MEMBERS_WRITE),
    "GET /me/consent-changes": _own(P.MEMBERS_READ),
    "GET /me/sessions": _own(P.MEMBERS_READ),
    "POST /me/sessions/{session_id}/end": _own(P.MEMBERS_READ),
    # members
    "POST /members": _staff(P.MEMBERS_WRITE, at_shop=True),
    "GET /members": _staff(P.MEMBERS_READ),
    "GET /members/{member_id}": _staff(P.MEMBERS_READ, "member"),
    "PATCH /members/{member_id}": Rule(P.MEMBERS_WRITE, "member", Scope.SHOP, beyond=(P.MEMBERS_CHANGE_CONTACT,)),
    "POST /members/{member_id}/suspensions": _staff(P.MEMBERS_STATUS, "member"),
    "POST /members/{member_id}/reinstatements": _staff(P.MEMBERS_STATUS, "member"),
    "POST /members/{member_id}/closures": _staff(P.MEMBERS_STATUS, "member"),
    "POST /members/{member_id}/unmaskings": _staff(P.MEMBERS_UNMASK, "member"),
    "POST /members/{member_id}/exports": Rule(P.MEMBERS_EXPORT, "member", Scope.ALL),
    "POST /members/{member_id}/export-pages": Rule(P.MEMBERS_EXPORT, "member", Scope.ALL),
    "POST /members/{member_id}/erasures": Rule(P.MEMBERS_ERASE, "member", Scope.ALL),
    "GET /members/{member_id}/consents": _staff(P.MEMBERS_READ, "member"),
    "POST /members/{member_id}/consents": _staff(P.MEMBERS_WRITE, "member"),
    "GET /members/{member_id}/consent-changes": _staff(P.MEMBERS_READ, "member"),
    "GET /members/{member_id}/timeline": _staff(P.MEMBERS_READ, "member"),
    "POST /member-merges": _staff(P.MEMBERS_MERGE, beyond=(P.MEMBERS_CHANGE_CONTACT,)),
    "GET /member-merges/{merge_id}": _staff(P.MEMBERS_READ),
    "POST /member-merges/{merge_id}/undo": _staff(P.MEMBERS_MERGE, beyond=(P.MEMBERS_UNDO_OWING,)),
    # points
    "GET /members/{member_id}/points": Rule(P.POINTS_READ, "member"),
    "GET /members/{member_id}/tier": Rule(P.POINTS_READ, "member"),
    "GET /members/{member_id}/point-entries": Rule(P.POINTS_READ, "member"),
    "POST /members/{member_id}/point-spends": _till(P.POINTS_SPEND, "member"),
    "POST /members/{member_id}/point-adjustments": _staff(P.POINTS_ADJUST, "member"),
    "GET /point-entries/{entry_id}": Rule(P.POINTS_READ, "entry"),
    "GET /point-entries/{entry_id}/receipt": Rule(P.POINTS_READ, "entry"),
    "POST /point-entries/{entry_id}/reversals": _staff(P.POINTS_ADJUST, "entry"),
    "POST /members/{member_id}/point-holds": _till(P.POINTS_SPEND, "member"),
    "GET /members/{member_id}/point-holds": Rule(P.POINTS_READ, "member"),
    "GET /point-holds/{hold_id}": Rule(P.POINTS_READ, "hold"),
    "POST /point-holds/{hold_id}/capture": _till(P.POINTS_SPEND, "hold"),
    "POST /point-holds/{hold_id}/release": _till(P.POINTS_SPEND, "hold"),
    "POST /members/{member_id}/point-transfers": Rule(P.POINTS_TRANSFER, "member"),
    "GET /members/{member_id}/point-transfers": Rule(P.POINTS_READ, "member"),
    "GET /point-transfers/{transfer_id}": Rule(P.POINTS_READ, "transfer"),
    "POST /point-transfers/{transfer_id}/accept": Rule(P.POINTS_TRANSFER, "transfer_receiver"),
    "POST /point-transfers/{transfer_id}/cancel": Rule(P.POINTS_TRANSFER, "transfer_sender"),
    "POST /point-transfers/{transfer_id}/decline": Rule(P.POINTS_TRANSFER, "transfer_receiver"),
    # pools
    "POST /pools": _staff(P.POOLS_MANAGE),
    "GET /pools/{pool_id}": Rule(P.POOLS_READ, "pool"),
    "PATCH /pools/{pool_id}": _staff(P.POOLS_MANAGE, "pool"),
    "POST /pools/{pool_id}/closures": _staff(P.POOLS_MANAGE, "pool"),
    "GET /members/{member_id}/pools": Rule(P.POOLS_READ, "member"),
    "GET /pools/{pool_id}/members": Rule(P.POOLS_READ, "pool"),
    "PUT /pools/{pool_id}/members/{member_id}": _staff(P.POOLS_MANAGE, "pool", beyond=(P.POOLS_ACT_FOR_MEMBERS,)),
    "POST /pools/{pool_id}/members/{member_id}/departures": _staff(P.POOLS_MANAGE, "pool"),
    "POST /pools/{pool_id}/contributions": _staff(P.POOLS_ACT_FOR_MEMBERS, "pool"),
    "POST /pools/{pool_id}/spends": _till(P.POINTS_SPEND, "pool"),
    "GET /pools/{pool_id}/points": Rule(P.POOLS_READ, "pool"),
    "GET /pools/{pool_id}/point-entries": Rule(P.POOLS_READ, "pool"),
    # cards
    "POST /members/{member_id}/cards": _staff(P.CARDS_TOP_UP, "member", beyond=(P.CARDS_GIFT,)),
    "GET /members/{member_id}/cards": Rule(P.CARDS_READ, "member"),
    "GET /cards": _staff(P.CARDS_READ),
    "GET /cards/{card_id}": Rule(P.CARDS_READ, "card"),
    "GET /cards/{card_id}/entries": Rule(P.CARDS_READ, "card"),
    "POST /cards/{card_id}/top-ups": _till(P.CARDS_TOP_UP, "card", beyond=(P.CARDS_GIFT,)),
    "POST /cards/{card_id}/spends": _till(P.CARDS_SPEND, "card"),
    "POST /cards/{card_id}/spend-refunds": _till(P.CARDS_SPEND, "card"),
    "POST /cards/{card_id}/refunds": _staff(P.CARDS_REFUND, "card"),
    "POST /cards/{card_id}/uses": _till(P.CARDS_SPEND, "card"),
    "POST /cards/{card_id}/use-reversals": _till(P.CARDS_SPEND, "card"),
    "POST /cards/{card_id}/extensions": _staff(P.CARDS_REFUND, "card"),
    "POST /cards/{card_id}/suspensions": _staff(P.CARDS_STATUS, "card"),
    "POST /cards/{card_id}/reinstatements": _staff(P.CARDS_STATUS, "card"),
    "POST /cards/{card_id}/closures": _staff(P.CARDS_STATUS, "card"),
    # purchases
    "POST /purchases": _till(P.PURCHASES_RECORD, at_shop=True, beyond=(P.PURCHASES_RECORD_LARGE,)),
    "POST /returns": _till(P.PURCHASES_RETURN, "order"),
    "GET /purchases/{purchase_id}": Rule(P.PURCHASES_READ, "purchase"),
    "PUT /purchases/{purchase_id}": _staff(P.PURCHASES_RESTATE, "purchase", beyond=(P.PURCHASES_RECORD_LARGE,)),
    "POST /purchases/{purchase_id}/deliveries": _till(P.PURCHASES_RECORD, "purchase"),
    "POST /purchases/{purchase_id}/returns": _till(P.PURCHASES_RETURN, "purchase"),
    "GET /purchases/{purchase_id}/returns": Rule(P.PURCHASES_READ, "purchase"),
    "GET /members/{member_id}/purchases": Rule(P.PURCHASES_READ, "member"),
    # integration keys
    "POST /integration-keys": _staff(P.INTEGRATIONS_MANAGE),
    "GET /integration-keys": _staff(P.INTEGRATIONS_READ),
    "GET /integration-keys/{key_id}": _staff(P.INTEGRATIONS_READ),
    "POST /integration-keys/{key_id}/rotations": _staff(P.INTEGRATIONS_MANAGE),
    "POST /integration-keys/{key_id}/revocations": _staff(P.INTEGRATIONS_MANAGE),
    # program, jobs, analytics
    "GET /program": Rule(P.PROGRAM_READ),
    "PUT /program": _staff(P.PROGRAM_PUBLISH),
    "GET /tiers": Rule(P.PROGRAM_READ),
    "GET /consent-texts": Rule(P.PROGRAM_READ),
    "POST /consent-texts": _staff(P.PROGRAM_PUBLISH),
    "GET /jobs": _staff(P.JOBS_READ),
    "GET /jobs/{job}/runs": _staff(P.JOBS_READ),
    "GET /jobs/{job}/runs/{day}": _staff(P.JOBS_READ),
    # a run keeps who started it; what it does is the program's doing, not theirs
    "POST /jobs/{job}/runs": Rule(P.JOBS_RUN, least=Scope.SHOP, audited=False),
    # what members are written, and who is not written to
    "POST /templates": _head_office(P.TEMPLATES_WRITE),
    "GET /templates": _head_office(P.TEMPLATES_READ),
    "GET /template-fields": _head_office(P.TEMPLATES_READ),
    "GET /templates/{template_id}": _head_office(P.TEMPLATES_READ),
    "PUT /templates/{template_id}": _head_office(P.TEMPLATES_WRITE),
    "POST /templates/{template_id}/archivals": _head_office(P.TEMPLATES_WRITE),
    "POST /templates/{template_id}/previews": Rule(P.TEMPLATES_READ, least=Scope.ALL, beyond=(P.MEMBERS_UNMASK,)),
    "POST /suppressions": _head_office(P.SUPPRESSIONS_MANAGE),
    "GET /suppressions": _head_office(P.SUPPRESSIONS_READ),
    "GET /suppressions/{suppression_id}": _head_office(P.SUPPRESSIONS_READ),
    "POST /suppressions/{suppression_id}/lifts": _head_office(P.SUPPRESSIONS_MANAGE),
    # campaigns
    "POST /campaigns": _head_office(P.CAMPAIGNS_WRITE),
    "GET /campaigns": _head_office(P.CAMPAIGNS_READ),
    "GET /campaigns/{campaign_id}": _head_office(P.CAMPAIGNS_READ),
    "PATCH /campaigns/{campaign_id}": _head_office(P.CAMPAIGNS_WRITE),
    "POST /campaigns/{campaign_id}/copies": _head_office(P.CAMPAIGNS_WRITE),
    "POST /campaigns/{campaign_id}/test-sends": _head_office(P.CAMPAIGNS_WRITE),
    "POST /campaigns/{campaign_id}/launch": Rule(P.CAMPAIGNS_LAUNCH, least=Scope.ALL, beyond=(P.CAMPAIGNS_GIFT,)),
    "POST /campaigns/{campaign_id}/pause": _head_office(P.CAMPAIGNS_LAUNCH),
    "POST /campaigns/{campaign_id}/resume": _head_office(P.CAMPAIGNS_LAUNCH),
    "POST /campaigns/{campaign_id}/cancel": _head_office(P.CAMPAIGNS_LAUNCH),
    "GET /campaigns/{campaign_id}/estimate": _head_office(P.CAMPAIGNS_READ),
    "GET /campaigns/{campaign_id}/results": _head_office(P.CAMPAIGNS_READ),
    "GET /deliveries": _head_office(P.DELIVERIES_READ),
    "GET /delivery-runs/{run_id}": _head_office(P.DELIVERIES_READ),
    # journeys
    "POST /journeys": _head_office(P.JOURNEYS_WRITE),
    "GET /journeys": _head_office(P.JOURNEYS_READ),
    "GET /journeys/{journey_id}": _head_office(P.JOURNEYS_READ),
    "PUT /journeys/{journey_id}": Rule(P.JOURNEYS_WRITE, least=Scope.ALL, beyond=(P.JOURNEYS_GIFT, P.JOURNEYS_NOTIFY)),
    "GET /journeys/{journey_id}/versions": _head_office(P.JOURNEYS_READ),
    "POST /journeys/{journey_id}/activate": Rule(
        P.JOURNEYS_RUN, least=Scope.ALL, beyond=(P.JOURNEYS_GIFT, P.JOURNEYS_NOTIFY)
    ),
    "POST /journeys/{journey_id}/pause": _head_office(P.JOURNEYS_RUN),
    "POST /journeys/{journey_id}/close": _head_office(P.JOURNEYS_RUN),
    "POST /journeys/{journey_id}/end": _head_office(P.JOURNEYS_RUN),
    "POST /journeys/{journey_id}/archive": _head_office(P.JOURNEYS_RUN),
    "POST /journeys/{journey_id}/entries": Rule(P.JOURNEYS_RUN, least=Scope.ALL, beyond=(P.JOURNEYS_GIFT,)),
    "GET /journeys/{journey_id}/members": _head_office(P.JOURNEYS_READ),
    "GET /journeys/{journey_id}/counts": _head_office(P.JOURNEYS_READ),
    "POST /journeys/{journey_id}/walks": Rule(P.JOURNEYS_READ, least=Scope.ALL, audited=False),
    "GET /members/{member_id}/journeys": _staff(P.JOURNEYS_READ, "member"),
    # approvals
    "GET /approvals": _staff(P.APPROVALS_READ),
    "GET /approvals/{approval_id}": _staff(P.APPROVALS_READ, "approval"),
    "POST /approvals/{approval_id}/approvals": _staff(P.APPROVALS_DECIDE, "approval"),
    "POST /approvals/{approval_id}/rejections": _staff(P.APPROVALS_DECIDE, "approval"),
    # staff, roles
    "POST /staff": _head_office(P.STAFF_MANAGE),
    "GET /staff": _head_office(P.STAFF_READ),
    "GET /staff/{staff_id}": _head_office(P.STAFF_READ),
    "PATCH /staff/{staff_id}": _head_office(P.STAFF_MANAGE),
    "POST /staff/{staff_id}/suspensions": _head_office(P.STAFF_MANAGE),
    "POST /staff/{staff_id}/reinstatements": _head_office(P.STAFF_MANAGE),
    "GET /roles": _head_office(P.STAFF_READ),
    "GET /roles/{role}": _head_office(P.STAFF_READ),
    "PUT /roles/{role}": _head_office(P.ROLES_MANAGE),
    "POST /roles/{role}/removals": _head_office(P.ROLES_MANAGE),
    "GET /analytics/liability": _staff(P.LIABILITY_READ),
    "GET /analytics/liability.csv": _staff(P.LIABILITY_READ),
    # who did what, and what looks wrong
    "GET /audit-entries": _head_office(P.AUDIT_READ),
    "GET /audit-entries/{audit_id}": _head_office(P.AUDIT_READ),
    "GET /alerts": _head_office(P.ALERTS_READ),
    "POST /alerts/{alert_id}/acknowledgements": _head_office(P.ALERTS_MANAGE),
    # segments; who may read those of their shops counts and lists the members of their shops
    "POST /segments": _head_office(P.SEGMENTS_MANAGE),
    "GET /segments": _staff(P.SEGMENTS_READ),
    "GET /ready-segments": _staff(P.SEGMENTS_READ),
    "GET /segments/{segment_id}": _staff(P.SEGMENTS_READ),
    "PATCH /segments/{segment_id}": _head_office(P.SEGMENTS_MANAGE),
    "POST /segments/{segment_id}/archivals": _head_office(P.SEGMENTS_MANAGE),
    "GET /segments/{segment_id}/members": _staff(P.SEGMENTS_READ),
    "GET /segments/{segment_id}/sizes": _staff(P.SEGMENTS_READ),
    "POST /segment-counts": _staff(P.SEGMENTS_READ),
    "POST /segment-overlaps": _staff(P.SEGMENTS_READ),
    "POST /segments/{segment_id}/exports": Rule(P.SEGMENTS_EXPORT, least=Scope.ALL, beyond=(P.MEMBERS_READ,)),
    "GET /segments/{segment_id}/exports/{export_id}": Rule(
        P.SEGMENTS_EXPORT, least=Scope.ALL, beyond=(P.MEMBERS_READ,)
    ),
}
"""`METHOD /path` → rule."""
