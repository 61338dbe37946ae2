"""Journeys: what members meet, step by step, after something happened. A trigger is a journey of a wait and a send."""
