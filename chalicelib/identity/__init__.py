"""Who is calling, what they may do, and whose things they may do it to."""
