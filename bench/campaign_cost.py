"""What it costs to send to a million, without what the provider takes: metered units by list prices.

A run is sent to a stub through the real worker over dynoxide, whose consumed capacity is added up as AWS bills it, with
the files that are written and read, the messages of the queue, and the seconds of the function. Those are counted as
CPU that this machine takes, at the share of a core that the function's memory buys, and for each round trip what it
takes in one region; while a provider thinks, the function waits, and what that costs is shown beside.
"""

from dataclasses import dataclass

from bench.report import Figure, table
from bench.sending import A_CALL, A_PART, sending
from local.costs import DOLLARS_PER_MILLION_RRU, DOLLARS_PER_MILLION_WRU
from local.deploy.functions import FUNCTIONS

GOAL = 0.15
MILLION = 1_000_000
DOLLARS_PER_GB_SECOND = 0.0000133334
DOLLARS_PER_MILLION_CALLS = 0.20
"""Lambda on arm64, us-east-1."""
DOLLARS_PER_MILLION_MESSAGES = 0.40
DOLLARS_PER_MILLION_PUTS, DOLLARS_PER_MILLION_GETS = 5.0, 0.40
"""SQS and S3."""
MEGABYTES_OF_A_CORE = 1_769
"""Lambda gives one core for so much memory."""
TABLE_SECONDS, FILE_SECONDS, PROVIDER_SECONDS = 0.004, 0.03, 0.1
MESSAGES_OF_A_PART = 5
"""Sent, received and deleted, once handed back, and once a patch of the lake asked for (less: once in 15 seconds)."""
PROVIDERS = (
    ("SES, a million mails", 100.0),
    ("SNS, a million texts to the United States", 6_450.0),
)
"""List prices, for comparison; carriers' fees come on top."""


@dataclass(frozen=True)
class Bill:
    """Dollars for a million recipients, by what they are for."""

    items: dict[str, float]

    @property
    def total(self) -> float:
        """All of it."""
        return sum(self.items.values())


def run(*, quick: bool = False) -> Figure:
    """Send, meter, and add up; the value is dollars for a million recipients."""
    size = 1_000 if quick else 10_000
    with sending(size, metered=True) as work:
        _, cpu = work.send()
        each = MILLION / size
        writes = sum(meter.write for meter in work.meters.values()) * each
        reads = {name: meter.read * each for name, meter in work.meters.items()}
        trips = sum(meter.trips for meter in work.meters.values()) * each
        puts, gets = work.files.puts * each, work.files.gets * each
    memory = next(function.memory for function in FUNCTIONS if function.name == "send-parts")
    core = min(memory / MEGABYTES_OF_A_CORE, 1.0)
    seconds = cpu * each / core + trips * TABLE_SECONDS + (puts + gets) * FILE_SECONDS
    parts = MILLION / A_PART
    gigabytes = memory / 1024
    bill = Bill(
        {
            "DynamoDB, writes": writes * DOLLARS_PER_MILLION_WRU / MILLION,
            "DynamoDB, members' keys": reads["vault"] * DOLLARS_PER_MILLION_RRU / MILLION,
            "DynamoDB, other reads": (reads["core"] + reads["ops"]) * DOLLARS_PER_MILLION_RRU / MILLION,
            # A plan is written once, too, by whoever plans.
            "S3": ((puts + parts) * DOLLARS_PER_MILLION_PUTS + gets * DOLLARS_PER_MILLION_GETS) / MILLION,
            "SQS": parts * MESSAGES_OF_A_PART * DOLLARS_PER_MILLION_MESSAGES / MILLION,
            "Lambda": seconds * gigabytes * DOLLARS_PER_GB_SECOND + 2 * parts * DOLLARS_PER_MILLION_CALLS / MILLION,
        }
    )
    waiting = MILLION / A_CALL * PROVIDER_SECONDS * gigabytes * DOLLARS_PER_GB_SECOND
    table(["for a million recipients", "$"], [[name, round(dollars, 4)] for name, dollars in bill.items.items()])
    print(
        f"  together ${bill.total:.3f}; waiting {PROVIDER_SECONDS * 1000:.0f} ms for each answer: ${waiting:.3f} more"
    )
    for name, dollars in PROVIDERS:
        print(f"  {name}: ${dollars:,.0f}, ×{dollars / bill.total:,.0f}")
    return Figure(
        "campaign_cost", "dollars for a million recipients, without the provider's price", bill.total, GOAL, "$",
        details={
            **{name: round(dollars, 4) for name, dollars in bill.items.items()}, "waiting_for_the_provider": waiting,
            "write_units": writes, "read_units": sum(reads.values()), "function_seconds": seconds, "memory": memory,
            "providers": dict(PROVIDERS),
        },
    )  # fmt: skip
