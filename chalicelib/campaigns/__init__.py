"""Campaigns: who is written to, when, with what, and what it brought (ADR 0054)."""
