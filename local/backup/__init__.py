"""Backups: every item that has to survive, in files that can be checked and put back (docs/adr/0041)."""
