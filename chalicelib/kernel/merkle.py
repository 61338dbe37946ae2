"""Merkle trees over rows, as RFC 6962 hashes them (section 2.1), and the path from a row to the root.

A row's hash begins with the byte 0, a node's with the byte 1, so that nobody can pass a node off as a row. A tree of n
rows is split at the largest power of two below n. Pure.
"""

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256().digest()
"""The root of no rows at all."""


def leaf_hash(row: bytes) -> bytes:
    """The hash of a row."""
    return hashlib.sha256(b"\x00" + row).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two nodes side by side."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over hashes of rows, in their order. Keeps no more than one hash for each level of the tree."""
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        level, made = 0, leaf
        while stack and stack[-1][0] == level:
            made = node_hash(stack.pop()[1], made)
            level += 1
        stack.append((level, made))
    if not stack:
        return EMPTY
    root = stack.pop()[1]
    while stack:
        root = node_hash(stack.pop()[1], root)
    return root


def path_to(leaves: Sequence[bytes], index: int) -> tuple[str, ...]:
    """The hashes that lead from a row to the root, nearest first: `L` or `R`, the side they stand on, and hexadecimal.

    Raises:
        IndexError: there is no such row.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    first, last = 0, len(leaves)
    steps: list[str] = []
    while last - first > 1:
        middle = first + (1 << (last - first - 1).bit_length() - 1)
        if index < middle:
            steps.append("R" + root_of(leaves[middle:last]).hex())
            last = middle
        else:
            steps.append("L" + root_of(leaves[first:middle]).hex())
            first = middle
    return tuple(reversed(steps))


def climbed(leaf: bytes, path: Iterable[str]) -> bytes:
    """The root that a path leads to from the hash of a row.

    Raises:
        ValueError: a step is not a side and a hash.
    """
    found = leaf
    for step in path:
        side, other = step[:1], bytes.fromhex(step[1:])
        if side not in ("L", "R") or len(other) != 32:
            raise ValueError("not a step of a path")
        found = node_hash(other, found) if side == "L" else node_hash(found, other)
    return found
