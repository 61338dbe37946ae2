"""What somebody may do alone, and what waits for a second person; deciding on it is the domain `decisions`."""
