"""Templates: what members are written, with fields that are filled in for each."""
