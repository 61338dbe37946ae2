"""What alerts tell others."""

from datetime import date
from typing import Annotated

from pydantic import StringConstraints

from chalicelib.alerts.models import AlertKind
from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import AlertId


class AlertRaised(Told):
    """Something was noticed that somebody should look at."""

    alert_id: AlertId
    kind: AlertKind
    about: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,100}$")]
    """A member's or a shop's id, the name of staff or an integration, or a network."""
    day: date
    count: int
    limit: int
