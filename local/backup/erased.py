"""Who was erased: a register that no restore may set back.

A backup from before an erasure still holds what was erased, so a restore asks the register and leaves that out again:
the member's wrapped keys, without which what they sealed stays sealed for good, and the identifiers by which the member
was found. The register must therefore be kept apart from what is restored. What else there is of them, the restore
erases again by the product's own use case (`local/backup/restoring.py`).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from chalicelib.kernel.ids import AccountId, MemberId
from chalicelib.kernel.records import Record
from chalicelib.privacy.models import Erasure, ErasureReason
from chalicelib.storage import keys
from local.backup.form import VAULT, TypedItem


class Erased(Record):
    """Somebody whose personal data were erased."""

    member_id: MemberId
    erased_at: datetime
    former: tuple[AccountId, ...] = ()
    """Who was merged into them, and erased with them."""
    reason: ErasureReason = ErasureReason.ASKED
    by: str = "restore"
    """Who asked; where only a list of ids was kept, the restore that brought them here."""

    @property
    def ids(self) -> tuple[AccountId, ...]:
        """Everybody of this erasure."""
        return (self.member_id, *self.former)

    def registered(self) -> Erasure:
        """The erasure as the product's own register has it."""
        return Erasure(member_ids=self.ids, reason=self.reason, by=self.by, erased_at=self.erased_at.astimezone(UTC))


def _of(erasure: Erasure) -> Erased:
    owner, *former = erasure.member_ids
    return Erased(
        member_id=MemberId(owner), erased_at=erasure.erased_at, former=tuple(former), reason=erasure.reason,
        by=erasure.by,
    )  # fmt: skip


class ErasureRegister(Protocol):
    """All erasures there ever were."""

    def list(self) -> Iterator[Erased]:
        """Every erasure, in any order."""


class FileRegister:
    """A register in a file of JSON Lines."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list(self) -> Iterator[Erased]:
        """See `ErasureRegister.list`.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line is no erasure.
        """
        with self._path.open("rb") as lines:
            for line in lines:
                if line.strip():
                    yield Erased.model_validate_json(line)


class FolderRegister:
    """A register as the product keeps it: a file for each member, in `erasures/` of the roots or fetched from there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list(self) -> Iterator[Erased]:
        """See `ErasureRegister.list`.

        Raises:
            FileNotFoundError: there is no such folder.
            ValueError: a file is no erasure. None is passed over: whoever is missed comes back.
        """
        if not self._path.is_dir():
            raise FileNotFoundError(f"{self._path} is no folder of erasures")
        for path in sorted(self._path.iterdir()):
            if not path.name.startswith("."):
                yield _of(Erasure.model_validate_json(path.read_bytes()))


def register_of(said: str) -> ErasureRegister:
    """The register that somebody names: a folder of the product's, a file of lines, or `none`."""
    if said == "none":
        return Nobody()
    path = Path(said)
    return FolderRegister(path) if path.is_dir() else FileRegister(path)


class Nobody:
    """The register of somebody who says that there is none."""

    def list(self) -> Iterator[Erased]:
        """See `ErasureRegister.list`."""
        return iter(())


def stays_out(table: str, item: TypedItem, erased: frozenset[str]) -> bool:
    """Whether an item of a backup is of somebody who was erased since, and must not come back.

    Args:
        erased: ids of members.
    """
    pk = item["pk"]["S"]
    if table == VAULT:
        return pk.startswith("M#") and keys.account_of(pk) in erased
    return table == "core" and pk.startswith("U#") and item.get("member_id", {}).get("S") in erased
