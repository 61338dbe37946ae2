"""What is refused about segments."""

from collections.abc import Sequence
from typing import Any

from chalicelib.kernel.errors import Refusal, Trouble


class SegmentUnknown(Refusal):
    """There is no segment of that id."""

    def __init__(self, *, segment_id: str) -> None:
        super().__init__(f"There is no segment with the id {segment_id}.", segment_id=segment_id)


class SegmentDiffers(Refusal):
    """The key was used before, for another segment or export."""

    def __init__(self, *, segment_id: str) -> None:
        super().__init__("This key was used before, for something else.", segment_id=segment_id)


class SegmentMoved(Refusal):
    """Somebody else changed the segment since it was read."""

    def __init__(self, *, read: int, current: int) -> None:
        super().__init__(
            f"The segment was changed: you have read version {read}, it is at {current} now. Read it again.",
            read=read,
            current=current,
        )


class SegmentReady(Refusal):
    """A segment that every program has cannot be changed."""

    def __init__(self, *, segment_id: str) -> None:
        super().__init__("This segment comes with the product. Make one of your own.", segment_id=segment_id)


class SegmentArchived(Refusal):
    """The segment was put aside."""

    def __init__(self, *, segment_id: str) -> None:
        super().__init__("This segment is archived.", segment_id=segment_id)


class SegmentKindWrong(Refusal):
    """The change belongs to the other kind of segment: a list has no definition, and a live one no list."""

    def __init__(self, *, segment_id: str, kind: str) -> None:
        super().__init__(f"This segment is {kind}, and what you change belongs to the other kind.", kind=kind)
        self.facts["segment_id"] = segment_id


class SegmentInUse(Refusal):
    """Other segments name this one, or campaigns or journeys that are at work."""

    def __init__(self, *, segment_id: str, used_by: Sequence[str]) -> None:
        super().__init__(
            f"{len(used_by)} segments, campaigns or journeys use this one.",
            segment_id=segment_id,
            used_by=list(used_by)[:20],
        )


class SegmentsTooMany(Refusal):
    """There are as many segments as there can be."""

    def __init__(self, *, most: int) -> None:
        super().__init__(f"There can be {most} segments. Archive some that nobody uses.", most=most)


class ListTooLong(Refusal):
    """The list of a segment would be too long."""

    def __init__(self, *, most: int) -> None:
        super().__init__(f"A list can have {most} members.", most=most)


class DefinitionWrong(Refusal):
    """A definition cannot be evaluated."""

    def __init__(self, errors: Sequence[dict[str, str]]) -> None:
        super().__init__("The definition cannot be evaluated; `errors` says where and why.")
        self.errors: Any = list(errors)


class SegmentTooHeavy(Refusal):
    """Counting took too long."""

    def __init__(self, *, seconds: int) -> None:
        super().__init__(
            f"Nothing was counted within {seconds} seconds. Take shorter windows or fewer conditions about purchases.",
            seconds=seconds,
        )


class RfmNotReady(Refusal):
    """There are no scores yet, and the definition asks for them."""

    def __init__(self) -> None:
        super().__init__(
            "There are no scores of recency, frequency and spending yet. They come within a minute of the first "
            "purchases, in a large program within the hour."
        )


class ExportUnknown(Refusal):
    """There is no such export of this segment, or it has no such part."""

    def __init__(self, *, export_id: str) -> None:
        super().__init__(
            f"There is no export {export_id} of this segment, or it has no such part.", export_id=export_id
        )


class SegmentsSilent(Trouble):
    """Who counts segments did not answer; the same request may simply be sent again."""

    def __init__(self) -> None:
        super().__init__("Who counts segments did not answer. Send the request again.", retry_after=5)
