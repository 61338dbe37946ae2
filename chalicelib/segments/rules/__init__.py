"""What a segment says, as a query and as a sentence, and what is wrong with it. Pure."""

from chalicelib.segments.rules.checking import Fault, check
from chalicelib.segments.rules.compiling import Compiled, Resolve, compiled, compiled_segment, listed, uses_scores
from chalicelib.segments.rules.pinning import PINNED_MAX, pinned, resolver_from
from chalicelib.segments.rules.wording import Names, phrase, sentence

__all__ = [
    "PINNED_MAX", "Compiled", "Fault", "Names", "Resolve", "check", "compiled", "compiled_segment", "listed", "phrase",
    "pinned", "resolver_from", "sentence", "uses_scores",
]  # fmt: skip
