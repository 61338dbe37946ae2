"""Use cases of campaigns: what staff command, plans, what is handed on, and what it brought."""
