"""Deciding on what waits for a second person."""
