"""What jobs refuse."""

from chalicelib.kernel.errors import Refusal, Trouble


class RunUnknown(Refusal):
    """The job has not been run for that day."""

    def __init__(self, *, job: str, date: str) -> None:
        super().__init__(f"The job {job} has not been run for {date}.", job=job, date=date)


class RunDayWrong(Refusal):
    """A job cannot be run for that day."""

    def __init__(self, *, date: str, first: str, last: str) -> None:
        super().__init__(
            f"{date} is not a day from {first} to {last}. What is to come can only be looked at, with `dry_run`.",
            date=date,
            first=first,
            last=last,
        )


class RunMoved(Exception):
    """The run was changed since it was read. Never leaves the service."""


class PartKnown(Exception):
    """The part was done before. Never leaves the service."""


class JobsUnavailable(Trouble):
    """Jobs cannot be started here: this server has no queue of job work."""

    def __init__(self) -> None:
        super().__init__("This server has no queue of job work (on a laptop: it was started with PUMP=none).")
