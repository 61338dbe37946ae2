"""Rules of journeys. Pure."""
