"""Who a campaign is planned for, and that a plan counts once whatever crashes."""

from pathlib import Path

import pytest

from tests.fair import Fair
from tests.makers import Clock


@pytest.fixture
def fair(tmp_path: Path, clock: Clock) -> Fair:
    """A fair with nobody there yet."""
    return Fair(tmp_path / "files", clock)


def test_try(fair: Fair) -> None:
    fair.people(1200)
    campaign_id, run_id = fair.go(holdout_percent=10)
    print(fair.campaign(campaign_id))
    print([len(p.recipients) for p in fair.parts(run_id)], fair.parts(run_id)[0].recipients[0])
    print(fair.tray.bodies)
    print(fair.work())
    from chalicelib.campaigns.service import sending

    sending.advance(fair.works, campaign_id)
    print(fair.campaign(campaign_id))
    fair.patch()
    from chalicelib.campaigns.service.results import find_results

    print(find_results(fair.works, campaign_id))
    assert 0
