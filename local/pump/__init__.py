"""What stands between stream, queues and schedules and the Lambda handlers on a laptop.

Each function has a process of its own (`python -m local.pump`), as in Lambda: real events in, partial batch failure,
visibility time-outs, dead-letter queues and time limits as deployed, at least once.
"""
