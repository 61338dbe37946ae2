"""Providers: what brings messages to people, all behind one port (ADR 0052)."""
