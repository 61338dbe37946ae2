"""What a purchase comes to, and what becomes of it: points, tier, tender. Pure."""
