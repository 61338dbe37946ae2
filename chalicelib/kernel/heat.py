"""When an account is hot: so many write to it at once that they keep getting in each other's way. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

ATTEMPTS_HOT = 3
"""A command that was decided so often met others twice: once may be an old read."""

CONFLICTS_HOT = 2
WITHIN = timedelta(minutes=1)
"""So many such commands in so long a time make an account hot: one may be chance."""

HOT_FOR = timedelta(minutes=1)
"""After that the direct way is tried again; who is still in the way makes it hot again with two commands."""

COLD_FOR = timedelta(seconds=10)
"""When the lane did not answer, the direct way is taken for so long."""

ACCOUNTS_MAX = 1_000
"""Of so many accounts a process remembers its conflicts; the ones that were marked longest ago are forgotten."""


@dataclass(frozen=True, slots=True)
class Heat:
    """What a process has met on an account.

    Attributes:
        conflicts: when commands met others.
        hot_until: commands go one behind the other until then.
        cold_until: and they do not, whatever they meet, until then.
    """

    conflicts: tuple[datetime, ...] = ()
    hot_until: datetime | None = None
    cold_until: datetime | None = None


def met(heat: Heat, attempts: int, now: datetime) -> Heat:
    """The heat after a command that was decided so often."""
    if attempts < ATTEMPTS_HOT:
        return heat
    recent = (*(at for at in heat.conflicts if now - at < WITHIN), now)
    if len(recent) < CONFLICTS_HOT:
        return Heat(recent, heat.hot_until, heat.cold_until)
    return Heat((), now + HOT_FOR, heat.cold_until)


def cooled(now: datetime) -> Heat:
    """The heat after the lane did not answer."""
    return Heat(cold_until=now + COLD_FOR)


def is_hot(heat: Heat, now: datetime) -> bool:
    """Whether commands go one behind the other."""
    cold = heat.cold_until is not None and now < heat.cold_until
    return heat.hot_until is not None and now < heat.hot_until and not cold


class Thermometer:
    """What this process has met, account by account."""

    def __init__(self) -> None:
        self._heats: dict[str, Heat] = {}

    def is_hot(self, account_id: str, now: datetime) -> bool:
        """Whether commands on the account go one behind the other."""
        heat = self._heats.get(account_id)
        return heat is not None and is_hot(heat, now)

    def note(self, account_id: str, attempts: int, now: datetime) -> None:
        """Take note of a command that was decided so often."""
        before = self._heats.get(account_id, Heat())
        after = met(before, attempts, now)
        if after is not before:
            self._remember(account_id, after)

    def cool(self, account_id: str, now: datetime) -> None:
        """Take note that the lane did not answer."""
        self._remember(account_id, cooled(now))

    def _remember(self, account_id: str, heat: Heat) -> None:
        self._heats.pop(account_id, None)
        self._heats[account_id] = heat
        if len(self._heats) > ACCOUNTS_MAX:
            del self._heats[next(iter(self._heats))]
