"""Every operation of the product, each with a scene and the call that is metered; `bench.op_cost` says what they cost.

A module for each domain; whatever file stands here is found. An operation is one short function (see `registry.py`).
"""
