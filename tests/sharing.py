"""Which tests one process takes, one after another, when several share the work.

`--dist loadgroup` would do it, but no longer groups with this pytest (pytest-xdist, issue 1386).
"""

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

TOGETHER = ("tests/e2e/", "tests/infra/test_package.py")
"""Tests over something that takes long to make."""


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Gives any test to whoever is free, but keeps some together; these come first."""

    def _split_scope(self, nodeid: str) -> str:
        return next((group for group in TOGETHER if nodeid.startswith(group)), nodeid)
