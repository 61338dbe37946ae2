"""What is refused about texts of consents."""

from chalicelib.kernel.errors import Refusal


class ConsentTextUnknown(Refusal):
    """A consent names a text that was never published."""

    def __init__(self, *, purpose: str, channel: str | None, text_version: str) -> None:
        by = f" by {channel}" if channel else ""
        super().__init__(
            f"No text {text_version!r} was published for the purpose {purpose!r}{by}: publish it before it is asked.",
            purpose=purpose,
            channel=channel,
            text_version=text_version,
        )


class ConsentTextDiffers(Refusal):
    """A version of a text was published before with other words."""

    def __init__(self, *, purpose: str, channel: str | None, text_version: str) -> None:
        super().__init__(
            f"The text {text_version!r} of {purpose!r} was published with other words, and members may have consented "
            "to those. Publish yours under another version.",
            purpose=purpose,
            channel=channel,
            text_version=text_version,
        )
