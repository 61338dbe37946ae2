"""Tiers: which one a member holds, derived from what they qualified with."""
