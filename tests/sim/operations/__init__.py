"""The operations of the simulation, one file each: whatever stands in this folder is drawn, sent and judged."""

import importlib
import pkgutil


def load() -> None:
    """Register every operation."""
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
