"""What the rule of the bus lets through to journeys is what they take."""

import json

from chalicelib.journeys.rules import intake
from chalicelib.relay.models import EVENT_TYPES
from local.tables import TEMPLATE


def test_whatever_lets_members_in_or_out_comes_through_the_rule_and_nothing_else() -> None:
    rule = json.loads(TEMPLATE.read_text())["Resources"]["JourneysRule"]["Properties"]["EventPattern"]
    assert sorted(rule["detail-type"]) == sorted((*intake.KINDS, *intake.GONE))
    assert set(rule["detail-type"]) <= set(EVENT_TYPES)
