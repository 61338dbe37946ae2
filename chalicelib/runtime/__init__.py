"""The only reader of the environment and the clock, the only maker of clients."""
