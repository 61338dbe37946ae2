"""Merges: two memberships of one person become one, and can be two again for a while."""
