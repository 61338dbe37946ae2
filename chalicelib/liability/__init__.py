"""Liability: the points that members still have, what they are worth, and how they came about, month by month."""
