"""Pools: points that a family or a company shares."""
