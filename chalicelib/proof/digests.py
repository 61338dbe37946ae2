"""Whether the digest in an entry is that of a command that is worked out from what is stored beside it."""

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from itertools import chain

from chalicelib.kernel.calendar import milliseconds
from chalicelib.points.models import Entry
from chalicelib.points.rules.guards import CLOCK_SKEW

CUT_WITHIN = timedelta(seconds=1)
"""A till's time that was cut to ours is that of the recording, but for entries that were booked with it."""

SEARCHES_MAX = 5
"""For so many entries of an account the time is looked for that a till with a fast clock gave, 0.3 s each at the
most; those beyond are not proven."""


class Digests:
    """Compares the digests in an account's entries, and counts how often a till's time was looked for."""

    def __init__(self) -> None:
        self._searched = 0

    def answers(self, entry: Entry, commands: Iterable[bytes]) -> bool:
        """Whether the digest in an entry is that of one of some commands in canonical form.

        A till's time that was cut to ours is looked for, so many times.
        """
        if entry.content is None:
            return True
        texts = []
        for text in commands:
            if hashlib.sha256(text).digest() == entry.content:
                return True
            texts.append(text)
        if entry.recorded_at - entry.occurred_at > CUT_WITHIN:
            return False
        self._searched += 1
        if self._searched > SEARCHES_MAX:
            return True
        return any(_fits_later(text, milliseconds(entry.occurred_at), entry.content) for text in texts)


def _fits_later(text: bytes, at: int, wanted: bytes) -> bool:
    """Whether the command fits with a later time: that of a till whose clock was ahead of ours, and was cut to ours.

    All milliseconds are tried that would have been taken, whole seconds first.
    """
    before, mark, after = text.partition(b'"occurred_at":%d' % at)
    if not mark:
        return False
    begun = hashlib.sha256(before)
    last = at + CLOCK_SKEW // timedelta(milliseconds=1) + 1
    for each in chain(range(at - at % 1000 + 1000, last, 1000), range(at + 1, last + 1)):
        tried = begun.copy()
        tried.update(b'"occurred_at":%d' % each + after)
        if tried.digest() == wanted:
            return True
    return False
