"""Use cases of segments."""

from chalicelib.segments.service.finding import compiled_of

__all__ = ["compiled_of"]
