"""Logs: one line for each request, at the edge."""

from functools import cache

from aws_lambda_powertools import Logger


@cache
def logger() -> Logger:
    """The process's logger: JSON lines on standard output. No personal data goes in."""
    return Logger(service="regulars", use_rfc3339=True, utc=True)
