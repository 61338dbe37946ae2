"""Holds: points that a checkout reserves, and then captures or releases."""
