"""What a program tells others when it is published."""

from collections.abc import Callable

from chalicelib.kernel.events import Occurrence
from chalicelib.programs import store
from chalicelib.programs.events import ProgramPublished
from chalicelib.storage.writes import Item


def _program(item: Item) -> Occurrence:
    at = store.published_at(item)
    return Occurrence(ProgramPublished(program_version=item["version"]), None, at, at)


FROM_ITEM: dict[str, Callable[[Item], Occurrence]] = {
    "PROGRAM V": _program,
}
"""What items that are no entries tell, by their kind (`relay.service.kind_of`)."""
