"""What is refused about campaigns, and what never leaves the services."""

from collections.abc import Sequence

from chalicelib.kernel.errors import Refusal, Trouble


class CampaignUnknown(Refusal):
    """There is no such campaign."""

    def __init__(self, *, campaign_id: str) -> None:
        super().__init__("There is no such campaign.", campaign_id=campaign_id)


class CampaignDiffers(Refusal):
    """This key was used before to make a campaign with other content."""

    def __init__(self, *, key: str) -> None:
        super().__init__(
            f"The key {key!r} was used before to make another campaign. A new command needs a new key.", key=key
        )


class CampaignChanged(Refusal):
    """The campaign was changed since the version that the command names."""

    def __init__(self, *, read: int, current: int) -> None:
        super().__init__(
            f"The campaign is at version {current}, not {read}. Read it again.", read=read, current=current
        )


class CampaignNotDraft(Refusal):
    """The campaign was launched, and stays as it is."""

    def __init__(self, *, state: str) -> None:
        super().__init__(f"The campaign is {state}. Only a draft can be changed; make a copy.", state=state)


class CampaignNotLaunched(Refusal):
    """The campaign is a draft, and does not run."""

    def __init__(self, *, campaign_id: str) -> None:
        super().__init__("The campaign is a draft. Launch it first.", campaign_id=campaign_id)


class CampaignOver(Refusal):
    """The campaign was sent or cancelled."""

    def __init__(self, *, state: str) -> None:
        super().__init__(f"The campaign is {state}: nothing more is sent.", state=state)


class CampaignUnfit(Refusal):
    """The campaign names what there is not, or what does not fit together."""

    def __init__(self, *, faults: Sequence[tuple[str, str]]) -> None:
        self.errors = [{"pointer": pointer, "detail": detail} for pointer, detail in faults]
        super().__init__(f"{self.errors[0]['pointer']}: {self.errors[0]['detail']}.", faults=self.errors)


class ScheduleOver(Refusal):
    """The campaign's time has passed."""

    def __init__(self, *, at: str, now: str) -> None:
        super().__init__(f"The campaign was to be sent at {at}, and it is {now}.", at=at, now=now)


class GiftForbidden(Refusal):
    """Who launches a campaign that gives points needs the permission for that."""

    def __init__(self, *, permission: str) -> None:
        super().__init__(
            f"The campaign gives points: to launch it takes the permission {permission}.", permission=permission
        )


class TestVariantUnknown(Refusal):
    """The campaign has no such variant."""

    __test__ = False

    def __init__(self, *, variant: str) -> None:
        super().__init__(f"The campaign has no variant {variant}.", variant=variant)


class ResultsSilent(Trouble):
    """Nobody counts the results just now."""

    def __init__(self) -> None:
        super().__init__("The results cannot be counted just now. Ask again.", retry_after=10)


class EstimateSilent(Trouble):
    """Nobody counts who would be written to just now."""

    def __init__(self) -> None:
        super().__init__(
            "Who would be written to cannot be counted just now. Ask again; a launch needs no estimate.", retry_after=10
        )


class TestsSilent(Trouble):
    """Nobody sends tests just now."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__("Tests cannot be sent just now. Send the request again.", retry_after=10)


class TestsTooMany(Refusal):
    """Somebody had as many tests sent to a member today as they may."""

    __test__ = False

    def __init__(self, *, member_id: str, most: int) -> None:
        super().__init__(
            f"You had {most} tests sent to {member_id} today. Tomorrow there are others; or see a preview.",
            member_id=member_id,
            most=most,
        )


class TestsMoved(Exception):
    """Other tests were counted since. Never leaves the service."""

    __test__ = False


class CampaignMoved(Exception):
    """The campaign was changed, or made, since it was read. Never leaves the service."""


class TurnMissed(Exception):
    """Another plan is being made, or took the turn. Never leaves the service."""


class AskedKnown(Exception):
    """Somebody asked with this key before. Never leaves the service."""
