"""Jobs: what a day brings to members, found by the day and done one member at a time."""
