"""What is refused about deliveries."""

from chalicelib.kernel.errors import Refusal, Trouble


class DeliveryRunUnknown(Refusal):
    """There is no run of this id."""

    def __init__(self, *, run_id: str) -> None:
        super().__init__("There is no run of this id.", run_id=run_id)


class PlanMissing(Exception):
    """The file of a run's part is not there: nothing of it was sent."""


class DeliveriesAskedWrong(Refusal):
    """Deliveries are listed of one member or of one run."""

    def __init__(self) -> None:
        super().__init__("Name either a member or a run.")


class DeliveryClaimed(Trouble):
    """Somebody else is sending this very message at this moment; ask again a little later what became of it."""

    def __init__(self) -> None:
        super().__init__("This message is being sent at this moment. Ask again what became of it.", retry_after=30)
