"""Segments: who is meant, said once and counted in a second."""
