"""Whether a member may be written to, and what a reply means. Pure."""

import re
import unicodedata
from collections.abc import Sequence

from chalicelib.consents.models import ContactChannel
from chalicelib.members.models import (
    ACCOUNT_PURPOSE,
    ID_NUMBER_PURPOSE,
    MARKETING_PURPOSE,
    WECHAT_SOURCE,
    Consent,
    ConsentGiven,
    Profile,
)
from chalicelib.members.rules import is_of_messages, may_contact
from chalicelib.points.models import AccountStatus
from chalicelib.reach.models import Barred, ReplySaid


def barred(
    profile: Profile, status: AccountStatus, purpose: str, channel: ContactChannel, *, suppressed: bool
) -> Barred | None:
    """Why a member may not be written to for a purpose by a channel; None: they may. Everybody who sends asks this.

    Args:
        suppressed: whether the member's address for the channel is not written to.
    """
    if status in (AccountStatus.CLOSED, AccountStatus.MERGED):
        return Barred.GONE
    if status is AccountStatus.SUSPENDED and purpose != ACCOUNT_PURPOSE:
        return Barred.SUSPENDED
    if not (is_of_messages(purpose) and may_contact(profile, purpose, channel)):
        return Barred.NO_CONSENT
    if profile.address(channel) is None:
        return Barred.NO_ADDRESS
    return Barred.SUPPRESSED if suppressed else None


def written_by(kind: str, value: str) -> tuple[ContactChannel, str] | None:
    """By which channel an identifier is written to, and the address that it is there; None: by none."""
    channel = {"mobile": ContactChannel.SMS, "email": ContactChannel.EMAIL}.get(kind)
    if channel is not None:
        return channel, value
    source, _, own = value.partition(":")
    return (ContactChannel.WECHAT, own) if kind == "ext" and source == WECHAT_SOURCE else None


# ---------------------------------------------------------------- replies

_NO_OFFERS = frozenset({"t", "td", "r", "n", "0000", "退", "不需要", "不要", "取消"})
"""Whole replies."""
_NO_OFFERS_IN = re.compile(r"退订|退訂|拒收|取消订阅|取消訂閱|不要再发|不要再發|别再发|別再發|勿扰|^td\b|^(?:t|r|td)退")
_NOTHING = frozenset(
    {"end", "cancel", "quit", "revoke", "opt out", "optout", "opt-out", "stop all", "stopall", "remove"}
)
_NOTHING_FIRST = re.compile(r"^(?:stop|unsubscribe|opt[ -]?out)\b")


def meant(words: str) -> ReplySaid | None:
    """What a reply to a message of ours means; None: nothing that is about getting them.

    Full-width letters, capitals, quotes and marks make no difference. Where it may be meant as opting out, it is.
    """
    plain = unicodedata.normalize("NFKC", words).casefold()
    plain = " ".join(re.sub(r"[^\w\s-]|_", " ", plain).split()).strip("- ")
    if plain in _NOTHING or _NOTHING_FIRST.match(plain):
        return ReplySaid.NOTHING
    if plain in _NO_OFFERS or _NO_OFFERS_IN.search(plain):
        return ReplySaid.NO_OFFERS
    return None


def withdrawn_by(
    consents: Sequence[Consent], said: ReplySaid, channel: ContactChannel, text_version: str
) -> tuple[ConsentGiven, ...]:
    """The consents that a reply withdraws: for all that is sent by the channel and was ever spoken of."""
    purposes = dict.fromkeys([MARKETING_PURPOSE, *(each.purpose for each in consents)])
    purposes.pop(ID_NUMBER_PURPOSE, None)
    purposes.pop(ACCOUNT_PURPOSE, None)
    if said is ReplySaid.NOTHING:
        purposes[ACCOUNT_PURPOSE] = None
    return tuple(
        ConsentGiven(purpose=purpose, channel=channel, granted=False, text_version=text_version) for purpose in purposes
    )
