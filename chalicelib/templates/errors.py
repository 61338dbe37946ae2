"""What is refused about templates."""

from collections.abc import Sequence
from typing import Any

from chalicelib.kernel.errors import Refusal


class TemplateUnknown(Refusal):
    """There is no such template, or no such version of it."""

    def __init__(self, *, template_id: str, version: int | None = None) -> None:
        of = f" has no version {version}" if version is not None else " is no template of ours"
        super().__init__(f"{template_id}{of}.", template_id=template_id, version=version)


class TemplateInvalid(Refusal):
    """A template cannot be sent as it is written."""

    def __init__(self, *, faults: Sequence[dict[str, Any]]) -> None:
        first = faults[0] if faults else {"pointer": "", "detail": "it does not fit"}
        super().__init__(f"{first['pointer']}: {first['detail']}.", faults=list(faults))
        self.errors = [{"pointer": each["pointer"], "detail": each["detail"]} for each in faults]


class TemplateDiffers(Refusal):
    """This key was used before to make another template."""

    def __init__(self, *, key: str) -> None:
        super().__init__("This key was used before to make another template. Use a new key.", key=key)


class TemplateMoved(Refusal):
    """Somebody else changed the template since it was read."""

    def __init__(self, *, read: int, current: int) -> None:
        super().__init__(
            f"The template was changed: you have read version {read}, it is at {current} now. Read it again.",
            read=read,
            current=current,
        )


class TemplateArchived(Refusal):
    """The template is archived: it is neither changed nor used for something new."""

    def __init__(self, *, template_id: str) -> None:
        super().__init__(f"{template_id} is archived. Make another one of it.", template_id=template_id)


class TemplateChannelFixed(Refusal):
    """A template stays with the channel and the purpose that it was made for."""

    def __init__(self, *, channel: str, purpose: str) -> None:
        super().__init__(
            f"This template is for {purpose} by {channel}: make another one for something else.",
            channel=channel,
            purpose=purpose,
        )
