"""The operations of the simulation, one file each: whatever stands in this folder is drawn, sent and judged.

To add one, write a file that calls `operation(Operation(…))`; `spend.py` is the shortest to begin from. Arguments are
drawn when a run is planned, and keys follow from the step's number, so that a step is the same when others are left
out. A command that writes entries into several accounts claims them all; its effect is asked once for each entry, with
that account's purse, and finds the others in `case.purses` and what it noted before in `case.notes`. Entries that time
brings go into `DERIVED`, new kinds of items into `FAMILIES`. What goes on with another step names it as `of`, and asks
`world.target` for it. Effects say what they do through `case.give`, `case.take` and `case.qualify`, so that it can be
undone and moved. Each operation deserves a planted bug (`planted.py`).
"""

import importlib
import pkgutil


def load() -> None:
    """Register every operation."""
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
