"""Laying one template over another.

Mappings merge. A function of CloudFormation is one value and never merges with another: two in one place are nonsense.
A list meets a list only when the overlay says what shall come of it (`chalice package --merge-template` drops one).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Unmergeable(Exception):
    """The overlay does not say what shall happen."""


@dataclass(frozen=True)
class Replaced:
    """This instead of what is there."""

    value: Any


@dataclass(frozen=True)
class Added:
    """These behind the list that is there, or alone."""

    values: list[Any]


@dataclass(frozen=True)
class Removed:
    """Nothing, whatever is there; something has to be."""


_NOTHING = object()


def merged(base: Any, over: Any, path: str = "") -> Any:
    """What a template is with an overlay on it; both stay as they were.

    Raises:
        Unmergeable: list meets list without a word, or something is removed that is not there.
    """
    match over:
        case Replaced(value):
            return value
        case Added(values):
            return [*(() if base is _NOTHING else base), *values]
        case Removed():
            raise Unmergeable(f"{path}: there is nothing to remove")
        case Mapping() if base is _NOTHING or (isinstance(base, Mapping) and not _is_function(base)):
            if _is_function(over):
                return dict(over)
            return _merged_mapping(base if isinstance(base, Mapping) else {}, over, path)
        case list() if isinstance(base, list):
            raise Unmergeable(f"{path}: a list over a list; say Replaced or Added")
    return over


def _merged_mapping(base: Mapping[str, Any], over: Mapping[str, Any], path: str) -> dict[str, Any]:
    found = dict(base)
    for name, value in over.items():
        where = f"{path}/{name}"
        if isinstance(value, Removed) and name in found:
            del found[name]
        else:
            found[name] = merged(found.get(name, _NOTHING), value, where)
    return found


def _is_function(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::", "Condition"))


def renamed(value: Any, old: str, new: str) -> Any:
    """A template in which one resource has another name, wherever it is spoken of."""
    match value:
        case {"Ref": name} if name == old:
            return {"Ref": new}
        case {"Fn::GetAtt": [name, *rest]} if name == old:
            return {"Fn::GetAtt": [new, *rest]}
        case {"Fn::Sub": str(text)}:
            return {"Fn::Sub": re.sub(rf"\$\{{{old}(?=[.}}])", f"${{{new}", text)}
        case Mapping():
            return {new if name == old else name: renamed(part, old, new) for name, part in value.items()}
        case list():
            return [renamed(part, old, new) for part in value]
    return value
