"""The launch of a campaign that two persons stand for: once, whoever approves how often, and whatever crashes."""

from pathlib import Path
from typing import Any

import pytest

from chalicelib.approvals import store as approvals
from chalicelib.approvals.errors import ApprovalOutgrown
from chalicelib.approvals.models import Approval, ApprovalKind, ApprovalStatus
from chalicelib.approvals.service import Approved, alone_or_asked, asking
from chalicelib.campaigns.models import CampaignState, LaunchCampaign
from chalicelib.campaigns.service import commands
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.ids import CampaignId
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable, Table
from tests.fair import ADMIN, Fair
from tests.makers import Clock
from tests.table.stand import Crashed, CrashingTable, Desk, at_once

LAUNCH = LaunchCampaign(version=1)


@pytest.fixture
def fair(tmp_path: Path, clock: Clock, table: DynamoTable, ops: DynamoTable) -> Fair:
    """A fair over tables of DynamoDB."""
    made = Fair(tmp_path / "files", clock, table, ops)
    made.book.current(clock())
    return made


def launched(fair: Fair, campaign_id: CampaignId, clearance: Any, table: Table | None = None) -> Any:
    """Launch a campaign, if somebody clears it."""
    core = table or fair.table
    return commands.launch_campaign(
        core, fair.shelf, ProgramBook(core), campaign_id, LAUNCH, ADMIN, now=fair.clock(), clearance=clearance
    )


def asked(fair: Fair, desk: Desk, points: int = 500) -> tuple[CampaignId, Approval]:
    """A launch that waits: so many points are too many for one."""
    campaign_id = fair.make(gift={"points": points})
    ask = asking(ApprovalKind.LAUNCH, campaign_id, f"{campaign_id} 1", LAUNCH, ADMIN, Permission.CAMPAIGNS_GIFT)
    view = alone_or_asked(
        fair.table, desk.words, ask, limit=100, dry_run=False, do=lambda each: launched(fair, campaign_id, each),
        now=fair.clock(), again=True,
    ).value  # fmt: skip
    return campaign_id, found(fair, desk, view.approval_id)


def found(fair: Fair, desk: Desk, approval_id: Any) -> Approval:
    """An approval as it is."""
    approval = approvals.find_approval(fair.table, desk.words, approval_id)
    assert approval is not None
    return approval


def test_two_approvals_at_once_launch_once(fair: Fair, desk: Desk, dynamo: Dynamo) -> None:
    campaign_id, approval = asked(fair, desk)
    assert fair.campaign(campaign_id).state is CampaignState.DRAFT
    both = [
        lambda who=who: launched(fair, campaign_id, Approved(approval, who, None, fair.clock(), desk.words))
        for who in ("stf_b", "stf_c")
    ]
    answers = at_once(dynamo, *both)
    assert sorted(each.replayed for each in answers) == [False, True]  # type: ignore[union-attr]
    assert fair.campaign(campaign_id).version == 2
    assert found(fair, desk, approval.approval_id).status is ApprovalStatus.APPROVED


def test_an_approval_covers_the_points_that_were_asked_for(fair: Fair, desk: Desk) -> None:
    campaign_id, approval = asked(fair, desk)
    less = approval.model_copy(update={"amount": 499})
    with pytest.raises(ApprovalOutgrown):
        launched(fair, campaign_id, Approved(less, "stf_b", None, fair.clock(), desk.words))
    assert fair.campaign(campaign_id).state is CampaignState.DRAFT


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_leaves_launch_and_approval_together(fair: Fair, desk: Desk, after: bool) -> None:
    campaign_id, approval = asked(fair, desk)
    seen: set[tuple[CampaignState, ApprovalStatus]] = set()
    for number in range(1, 20):
        table = CrashingTable(fair.table, number, after=after)
        try:
            launched(fair, campaign_id, Approved(approval, "stf_b", None, fair.clock(), desk.words), table)
        except Crashed:
            pass
        else:
            break
        finally:
            seen.add((fair.campaign(campaign_id).state, found(fair, desk, approval.approval_id).status))
    assert seen == {
        (CampaignState.DRAFT, ApprovalStatus.WAITING), (CampaignState.SCHEDULED, ApprovalStatus.APPROVED),
    }  # fmt: skip
