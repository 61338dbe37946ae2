"""What a bench says: a short table for people, then one line of JSON for machines."""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class CannotRun(Exception):
    """Something that a bench needs is not to be had here; no figure is better than one that was made up."""


@dataclass(frozen=True)
class Figure:
    """The outcome of a bench: one number, and what it had to be.

    Attributes:
        lower_is_better: whether the goal is a ceiling; else it is a floor.
        details: further figures, for whoever looks closer.
    """

    bench: str
    metric: str
    value: float
    goal: float
    unit: str
    lower_is_better: bool = True
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.value <= self.goal if self.lower_is_better else self.value >= self.goal

    def tell(self) -> None:
        """Print the verdict, and last the line of JSON."""
        sign = "≤" if self.lower_is_better else "≥"
        print(f"{self.bench}: {self.metric} = {self.value:.3f} {self.unit} (goal {sign} {self.goal}):", self.verdict)
        line = {
            "bench": self.bench,
            "metric": self.metric,
            "value": round(self.value, 4),
            "goal": float(self.goal),
            "unit": self.unit,
            "met": self.met,
            "details": self.details,
        }
        print(json.dumps(line, ensure_ascii=False), flush=True)

    @property
    def verdict(self) -> str:
        """One word for people."""
        return "met" if self.met else "MISSED"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table: the first column to the left, figures to the right."""
    cells = [[_cell(each) for each in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        first, *rest = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  " + "  ".join([first, *rest]))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent do not exceed (nearest rank): a figure that really occurred."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, p99 and maximum."""
    return {
        "p50": round(statistics.median(values), 3),
        "p99": round(percentile(values, 99), 3),
        "max": round(max(values), 3),
    }


def _cell(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
