"""Segments as they were at an instant: what was launched goes on meaning by them what it meant then. Pure.

Who fits is still decided by what is known of members when somebody asks; only what is asked is kept. Lists are files
that are never written again, so a list is kept by its name.
"""

import json
from collections.abc import Iterable

from chalicelib.kernel.ids import SegmentId
from chalicelib.segments.models import Segment, SegmentState
from chalicelib.segments.rules.checking import named_in
from chalicelib.segments.rules.compiling import Resolve

PINNED_MAX = 100_000
"""Characters of a document: with what it stands in, it must fit into an item."""


def pinned(names: Iterable[SegmentId], resolve: Resolve) -> str:
    """Segments, with all that they refer to, as a document. Those that there are not are left out.

    Args:
        resolve: finds them as they are now.
    """
    found: dict[SegmentId, Segment] = {}
    waiting = sorted(set(names), reverse=True)
    while waiting:
        name = waiting.pop()
        segment = resolve(name) if name not in found else None
        if segment is not None:
            found[name] = segment
            waiting += sorted(named_in(segment.definition), reverse=True)
    return json.dumps([_kept(each) for each in found.values()], ensure_ascii=False, separators=(",", ":"))


def _kept(segment: Segment) -> object:
    bare = segment.model_copy(update={"note": None, "tag_rule": None, "state": SegmentState.ACTIVE})
    return bare.model_dump(mode="json", exclude_none=True)


def resolver_from(document: str) -> Resolve:
    """Finds segments as a document has them, and no others."""
    found = [Segment.model_validate_json(json.dumps(each)) for each in json.loads(document)]
    return {each.segment_id: each for each in found}.get
