"""Prefixed ids, and the member number with its check digit."""

import base64
import hashlib
from functools import lru_cache
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Id(str):
    """A string of one shape, told from every other kind of id by its type and its prefix."""

    pattern: ClassVar[str]
    longest: ClassVar[int] = 400
    secret: ClassVar[bool] = False
    """Whether it lets somebody do something, so that it stays out of logs."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        shape = core_schema.str_schema(pattern=cls.pattern, max_length=cls.longest)
        return core_schema.no_info_after_validator_function(cls, shape)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": cls.pattern, "maxLength": cls.longest}


class AccountId(Id):
    """Names whose account it is: a member's own, or what has an account beside members: a pool, a card."""

    pattern = r"^(mem|pol|crd)_[a-z2-7]{16}$"


class MemberId(AccountId):
    """Names a member: `mem_` and 16 characters that follow from the member number."""

    pattern = r"^mem_[a-z2-7]{16}$"

    @classmethod
    def of(cls, number: str) -> Self:
        """The id that belongs to a member number.

        The id is a hash of the number, so a look-up by number needs no index of its own (ADR 0005).
        """
        digest = hashlib.sha256(b"regulars member number " + number.encode()).digest()
        return cls("mem_" + base64.b32encode(digest[:10]).decode().lower())


class CardId(AccountId):
    """Names a card: `crd_` and 16 characters that follow from its number, or from the key that it was opened with."""

    pattern = r"^crd_[a-z2-7]{16}$"

    @classmethod
    def of(cls, what: str, text: str) -> Self:
        """The id that belongs to a card's number, or to a key.

        Args:
            what: `number` or `key`, so that no number gives the id of a key.
        """
        digest = hashlib.sha256(f"regulars card {what} {text}".encode()).digest()
        return cls("crd_" + base64.b32encode(digest[:10]).decode().lower())


def is_member(account_id: AccountId) -> bool:
    """Whether an account is a member's own."""
    return account_id.startswith("mem_")


def is_card(account_id: AccountId) -> bool:
    """Whether an account is a card's."""
    return account_id.startswith("crd_")


def is_pool(account_id: str) -> bool:
    """Whether an account is a pool's."""
    return account_id.startswith("pol_")


class PurchaseId(Id):
    """Names a purchase; carries its channel and order number."""

    pattern = r"^pur_[A-Za-z0-9_-]{4,396}$"


class EntryId(Id):
    """Names a ledger entry; carries its kind and key, of which every character may need an escape, and a second one."""

    pattern = r"^ent_[A-Za-z0-9_-]{4,1396}$"
    longest = 1400


class MergeId(Id):
    """Names a merge of two members; carries the key of the command that made it."""

    pattern = r"^mrg_[A-Za-z0-9_-]{2,172}$"


class HoldId(Id):
    """Names a hold; carries the key that it was made with."""

    pattern = r"^hld_[A-Za-z0-9_-]{2,396}$"


class TransferId(Id):
    """Names a transfer of points; carries the key that it was offered with."""

    pattern = r"^trf_[A-Za-z0-9_-]{2,396}$"


class ShopId(Id):
    """Names a shop."""

    pattern = r"^shp_[a-z0-9_-]{1,40}$"


class StaffId(Id):
    """Names a member of staff or an integration."""

    pattern = r"^stf_[A-Za-z0-9_.@-]{1,80}$"

    @classmethod
    def of(cls, issuer: str, subject: str) -> Self:
        """The id of whom an issuer knows as a subject: finding them by it, as every request does, needs no index."""
        return cls(_staff_id(issuer, subject))


@lru_cache(maxsize=512)  # those who work here ask all day
def _staff_id(issuer: str, subject: str) -> str:
    text = f"regulars staff {len(issuer)} {issuer} {subject}"
    return "stf_" + base64.b32encode(hashlib.sha256(text.encode()).digest()[:15]).decode().lower()


class RoleName(Id):
    """Names a role."""

    pattern = r"^[a-z](_?[a-z0-9]){1,39}$"


class ApprovalId(Id):
    """Names what waits for a second person; follows from what was asked for and its key."""

    pattern = r"^apr_[a-z2-7]{24}$"

    @classmethod
    def of(cls, kind: str, key: str) -> Self:
        """The id of the approval of the command of a kind that has a key."""
        digest = hashlib.sha256(f"regulars approval {kind} {key}".encode()).digest()
        return cls("apr_" + base64.b32encode(digest[:15]).decode().lower())


class SessionId(Id):
    """Names a member's session on one device."""

    pattern = r"^ses_[a-z2-7]{26}$"


class IntegrationKeyId(Id):
    """Names an integration key: `key_` and 16 characters that follow from the key of the command that made it."""

    pattern = r"^key_[a-z2-7]{16}$"

    @classmethod
    def of(cls, key: str) -> Self:
        """The id that belongs to the key of the command that made it."""
        digest = hashlib.sha256(b"regulars integration key " + key.encode()).digest()
        return cls("key_" + base64.b32encode(digest[:10]).decode().lower())


class TemplateId(Id):
    """Names a template: `tpl_` and 16 characters that follow from the key of the command that made it."""

    pattern = r"^tpl_[a-z2-7]{16}$"

    @classmethod
    def of(cls, key: str) -> Self:
        """The id that belongs to the key of the command that made it."""
        digest = hashlib.sha256(b"regulars template " + key.encode()).digest()
        return cls("tpl_" + base64.b32encode(digest[:10]).decode().lower())


class SuppressionId(Id):
    """Names an address that is not written to; carries its channel and blind index."""

    pattern = r"^sup_[A-Za-z0-9_-]{4,200}$"
    longest = 204


class AuditId(Id):
    """Names an audit record: when it was made, and chance."""

    pattern = r"^aud_[0-9a-f]{27}$"
    longest = 31


class AlertId(Id):
    """Names an alert; carries what it is about, and its day."""

    pattern = r"^alr_[A-Za-z0-9_-]{4,396}$"


class SegmentId(Id):
    """Names a segment: `seg_` and 16 characters that follow from the key of the command that made it; or a name, of
    the ready ones that every program has.
    """

    pattern = r"^seg_([a-z2-7]{16}|ready_[a-z0-9_]{2,30})$"

    @classmethod
    def of(cls, key: str) -> Self:
        """The id that belongs to the key of the command that made it."""
        digest = hashlib.sha256(b"regulars segment " + key.encode()).digest()
        return cls("seg_" + base64.b32encode(digest[:10]).decode().lower())


class SegmentExportId(Id):
    """Names an export of a segment; follows from the segment and the key of the command that asked for it."""

    pattern = r"^sgx_[a-z2-7]{24}$"

    @classmethod
    def of(cls, segment_id: str, key: str) -> Self:
        """The id of the export of a segment that was asked for with a key."""
        digest = hashlib.sha256(f"regulars segment export {segment_id} {key}".encode()).digest()
        return cls("sgx_" + base64.b32encode(digest[:15]).decode().lower())


class CampaignId(Id):
    """Names a campaign: `cmp_` and 16 characters that follow from the key of the command that made it."""

    pattern = r"^cmp_[a-z2-7]{16}$"

    @classmethod
    def of(cls, key: str) -> Self:
        """The id that belongs to the key of the command that made it."""
        digest = hashlib.sha256(b"regulars campaign " + key.encode()).digest()
        return cls("cmp_" + base64.b32encode(digest[:10]).decode().lower())


class CampaignRunId(Id):
    """Names a run of a campaign: the campaign's own part, the day of one of many or `once`, and which plan it is.

    A plan that was cut off is made again under another id, so that no two plans ever write the same files.
    """

    pattern = r"^crn_[a-z2-7]{16}([0-9]{8}|once)[0-9]{2,6}$"

    @classmethod
    def of(cls, campaign_id: str, which: str, attempt: int) -> Self:
        """The id of a campaign's run of a day, or of its only one, by the plan of that number."""
        return cls(f"crn_{campaign_id.removeprefix('cmp_')}{which}{attempt:02d}")


class JourneyId(Id):
    """Names a journey: `jrn_` and 16 characters that follow from the key of the command that made it."""

    pattern = r"^jrn_[a-z2-7]{16}$"

    @classmethod
    def of(cls, key: str) -> Self:
        """The id that belongs to the key of the command that made it."""
        digest = hashlib.sha256(b"regulars journey " + key.encode()).digest()
        return cls("jrn_" + base64.b32encode(digest[:10]).decode().lower())


def packed(text: str) -> str:
    """Text as URL-safe characters that `unpacked` turns back."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def unpacked(text: str) -> str | None:
    """What `packed` was given, or None when this is nothing it gave."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return None
    return plain if packed(plain) == text else None


# Damm's quasigroup of order 10 (H. M. Damm, 2004): finds every single wrong digit and every swap of neighbours.
_DAMM = (
    "0317598642", "7092154863", "4206871359", "1750983426", "6123045978",
    "3674209581", "5869720134", "8945362017", "9438617205", "2581436790",
)  # fmt: skip


def check_digit(digits: str) -> str:
    """The digit that makes a row of digits check (Damm)."""
    interim = 0
    for digit in digits:
        interim = int(_DAMM[interim][int(digit)])
    return str(interim)


class MemberNumber(Id):
    """What stands on the card: 11 random digits and a check digit."""

    pattern = r"^[0-9]{12}$"

    @classmethod
    def from_chance(cls, chance: int) -> Self:
        """The member number for a random whole number; only its last 11 digits count."""
        digits = f"{chance % 10**11:011d}"
        return cls(digits + check_digit(digits))

    @property
    def checks(self) -> bool:
        """Whether the check digit fits: a mistyped number is told from an unknown one."""
        return check_digit(self[:-1]) == self[-1]
