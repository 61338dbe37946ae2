"""What members tell others: that something changed, never what a person's data are."""

from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import AccountId, ShopId
from chalicelib.kernel.records import Slug, Subject


class MemberEnrolled(Told):
    """A person became a member."""

    shop_id: ShopId | None
    """The home shop."""
    source: Slug | None
    """Where the member came from: `till`, `web`, `import` …"""


class MemberEdited(Told):
    """What is known of a member was changed."""

    fields: tuple[Slug, ...]
    """Names of the fields that the edit named; not their values."""


class MemberContactChanged(Told):
    """A member's mobile number or e-mail address was set, changed or removed: from now on others can sign in by it."""

    given: tuple[Slug, ...]
    """`mobile`, `email`: which of them was empty before; of a merge and its undoing, which of them there are since."""
    replaced: tuple[Slug, ...]
    """Which of them was changed or removed."""
    changed_by: Subject | None
    """Who did it; null: the member, who proved the new one by a code."""
    merged_id: AccountId | None = None
    """Who became one with this member, or is one of their own again; null: it was edited."""


class MemberSuspended(Told):
    """A membership was suspended."""


class MemberReinstated(Told):
    """A suspension ended."""


class MemberErased(Told):
    """A member was erased: whoever keeps something that tells who it was has to forget that, too."""

    former_ids: tuple[AccountId, ...]
    """Members who had been merged into this one, and were erased with it."""


class MemberClosed(Told):
    """A membership was closed for good."""
