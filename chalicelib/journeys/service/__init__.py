"""Use cases of journeys."""
