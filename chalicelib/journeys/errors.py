"""What is refused about journeys, and what never leaves the services."""

from collections.abc import Sequence

from chalicelib.kernel.errors import Refusal


class JourneyUnknown(Refusal):
    """There is no such journey, or no such version of it."""

    def __init__(self, *, journey_id: str) -> None:
        super().__init__("There is no such journey, or no such version of it.", journey_id=journey_id)


class JourneyDiffers(Refusal):
    """This key was used before, for something else."""

    def __init__(self, *, key: str) -> None:
        super().__init__(f"The key {key!r} was used before for something else. A new command needs a new key.", key=key)


class JourneyMoved(Refusal):
    """The journey was changed since the version that the command names."""

    def __init__(self, *, read: int, current: int) -> None:
        super().__init__(f"The journey is at version {current}, not {read}. Read it again.", read=read, current=current)


class JourneyUnfit(Refusal):
    """The journey names what there is not, or what does not fit together."""

    def __init__(self, *, faults: Sequence[tuple[str, str]]) -> None:
        self.errors = [{"pointer": pointer, "detail": detail} for pointer, detail in faults]
        super().__init__(f"{self.errors[0]['pointer']}: {self.errors[0]['detail']}.", faults=self.errors)


class JourneyStands(Refusal):
    """The journey cannot do that as it stands."""

    def __init__(self, *, state: str, wanted: str) -> None:
        super().__init__(f"The journey is {state}, and cannot become {wanted}.", state=state, wanted=wanted)


class JourneyOver(Refusal):
    """The journey lets nobody in, and is not changed any more."""

    def __init__(self, *, state: str) -> None:
        super().__init__(f"The journey is {state}.", state=state)


class JourneyNotByHand(Refusal):
    """Members come into this journey by themselves."""

    def __init__(self, *, entry: str) -> None:
        super().__init__(f"Members come into this journey by {entry}, and not by hand.", entry=entry)


class JourneyGiftForbidden(Refusal):
    """Who activates a journey that gives points, or edits one that does so, needs the permission for that."""

    def __init__(self, *, permission: str) -> None:
        super().__init__(f"The journey gives points: that takes the permission {permission}.", permission=permission)


class JourneyGiftRaised(Refusal):
    """A journey at work is not changed to give more points: pause it first, and activate it again afterwards."""

    def __init__(self, *, given: int, wanted: int) -> None:
        super().__init__(
            f"The journey gives a member {given} points at the most, and would give {wanted}. "
            "Pause it, change it, and activate it again.",
            given=given,
            wanted=wanted,
        )


class JourneyNoticeForbidden(Refusal):
    """Who activates a journey that sends notices, or edits one at work, needs the permission for that."""

    def __init__(self, *, permission: str) -> None:
        super().__init__(
            f"The journey sends notices, which nobody consents to and nobody is offered to end: that takes the "
            f"permission {permission}. Offers and news have the purpose marketing, or a topic of it.",
            permission=permission,
        )


class JourneysTooMany(Refusal):
    """There are as many journeys at work as there can be."""

    def __init__(self, *, most: int) -> None:
        super().__init__(f"{most} journeys can be at work. End some, or put them away.", most=most)


class InstanceMoved(Exception):
    """Somebody's way through a journey was moved on since it was read. Never leaves the service."""


class InstanceKnown(Exception):
    """They are in already, or were. Never leaves the service."""


class HeadMoved(Exception):
    """The journey was changed, or made, since it was read. Never leaves the service."""


class ListingMoved(Exception):
    """Another worker looked at these members of a segment. Never leaves the service."""


class TickMissed(Exception):
    """Another tick was faster. Never leaves the service."""


class AskedKnown(Exception):
    """Somebody asked with this key before. Never leaves the service."""
