"""How hypothesis draws: the same examples in every run, so that a red run is about the change at hand.

`pytest tests/unit --hypothesis-profile=explore` draws new and many more ones.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit", max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("unit")
