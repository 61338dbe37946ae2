"""Which resource of the app a path names, as API Gateway decides it: fixed segments before `{params}`."""

from collections.abc import Iterable
from urllib.parse import unquote


class Resource:
    """One path of the app, such as `/v1/members/{member_id}`."""

    __slots__ = ("_params", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._params = [(i, part[1:-1]) for i, part in enumerate(path[1:].split("/")) if part.startswith("{")]

    def params(self, segments: list[str]) -> dict[str, str] | None:
        """The path parameters, URL-decoded once; None when the path has none, as API Gateway sends it."""
        if not self._params:
            return None
        return {name: unquote(segments[i]) for i, name in self._params}


class _Node:
    """A place in the tree of segments."""

    __slots__ = ("fixed", "param", "param_name", "resource")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node] = {}
        self.param: _Node | None = None
        self.param_name = ""
        self.resource: Resource | None = None


class Matcher:
    """Finds the resource of a path: one look-up for a fixed path, one a segment for others."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Build the tree.

        Raises:
            ValueError: two paths name the same segment differently, which API Gateway refuses to deploy.
        """
        self._exact: dict[str, Resource] = {}
        self._root = _Node()
        for path in paths:
            resource = Resource(path)
            if "{" not in path:
                self._exact[path] = resource
            self._add(resource)

    def _add(self, resource: Resource) -> None:
        node = self._root
        for part in resource.path[1:].split("/"):
            if not part.startswith("{"):
                node = node.fixed.setdefault(part, _Node())
                continue
            if node.param is None:
                node.param, node.param_name = _Node(), part
            elif node.param_name != part:
                raise ValueError(f"{resource.path}: a neighbouring route calls its {part} {node.param_name}")
            node = node.param
        node.resource = resource

    def find(self, path: str) -> tuple[Resource, dict[str, str] | None] | None:
        """The resource and path parameters of a path, still encoded; a slash at its end does not matter."""
        exact = self._exact.get(path)
        if exact is not None:
            return exact, None
        segments = path[1:].split("/")
        if len(segments) > 1 and not segments[-1]:
            segments.pop()
        resource = _walk(self._root, segments, 0)
        return (resource, resource.params(segments)) if resource else None


def _walk(node: _Node, segments: list[str], at: int) -> Resource | None:
    """The resource that the rest of the segments leads to."""
    if at == len(segments):
        return node.resource
    fixed = node.fixed.get(segments[at])
    if fixed is not None and (found := _walk(fixed, segments, at + 1)):
        return found
    if node.param is not None and segments[at]:
        return _walk(node.param, segments, at + 1)
    return None
