"""Who was erased: a register that no restore may set back.

A backup from before an erasure still holds what was erased, so a restore asks the register and leaves that out again:
the member's wrapped keys, without which what they sealed stays sealed for good, and the identifiers by which the member
was found. The register must therefore be kept apart from what is restored.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.records import Record
from chalicelib.storage import keys
from local.backup.form import VAULT, TypedItem


class Erased(Record):
    """Somebody whose personal data were erased."""

    member_id: MemberId
    erased_at: datetime


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
