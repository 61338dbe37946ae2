"""Alerts: what looks like somebody helping themselves, or somebody at the door."""
