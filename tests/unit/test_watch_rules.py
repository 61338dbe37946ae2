"""What the rule of the bus lets through to those who watch is what they look at."""

import ast
import inspect
import json

from chalicelib.relay.models import EVENT_TYPES
from chalicelib.watch import service
from local.tables import TEMPLATE


def _named() -> set[str]:
    """The event types that the use cases name."""
    names = {node.id for node in ast.walk(ast.parse(inspect.getsource(service))) if isinstance(node, ast.Name)}
    return names & set(EVENT_TYPES)


def test_whatever_is_chained_or_counted_comes_through_the_rule_and_nothing_else() -> None:
    rule = json.loads(TEMPLATE.read_text())["Resources"]["WatchRule"]["Properties"]["EventPattern"]
    assert sorted(rule["detail-type"]) == sorted(_named())
