"""Versions of journeys, each read once for a process: they never change."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chalicelib.journeys import store
from chalicelib.journeys.models import Edition, Instance
from chalicelib.kernel.ids import JourneyId
from chalicelib.storage.table import Table

_REMEMBERED = 200


@dataclass
class Editions:
    """Finds versions of journeys."""

    table: Table
    _known: dict[tuple[JourneyId, int], Edition] = field(default_factory=dict)

    def find(self, journey_id: JourneyId, edition: int) -> Edition:
        """A version.

        Raises:
            LookupError: there is none, though somebody is in it.
        """
        which = journey_id, edition
        if which not in self._known:
            found = store.find_edition(self.table, journey_id, edition)
            if found is None:
                raise LookupError(f"{journey_id} has no version {edition}")
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[which] = found
        return self._known[which]

    def of(self, instance: Instance) -> Edition:
        """The version that somebody came in by."""
        return self.find(instance.ref.journey_id, instance.edition)


Answers = Mapping[tuple[JourneyId, int, str], frozenset[str]]
"""Who fits, by the journey, its version and the branch that asks."""
