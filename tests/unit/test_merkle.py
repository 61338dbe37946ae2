"""Merkle trees: the hashes of RFC 6962, and paths that lead to the root from everywhere."""

import pytest

from chalicelib.kernel.merkle import EMPTY, climbed, leaf_hash, node_hash, path_to, root_of

# The rows and roots of the tests of certificate-transparency-go, merkle/rfc6962: seven or eight rows of few bytes.
ROWS = [
    *map(bytes.fromhex, ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")),
    bytes.fromhex("606162636465666768696a6b6c6d6e6f"),
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("count", ROOTS)
def test_roots_are_those_of_rfc_6962(count: int) -> None:
    assert root_of(leaf_hash(row) for row in ROWS[:count]).hex() == ROOTS[count]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 100])
def test_from_every_row_a_path_leads_to_the_root_and_from_no_other(count: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(count)]
    root = root_of(leaves)
    for index, leaf in enumerate(leaves):
        path = path_to(leaves, index)
        assert climbed(leaf, path) == root
        assert climbed(leaf_hash(b"other"), path) != root
        assert len(path) <= (count - 1).bit_length()


def test_a_node_is_not_taken_for_a_row() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)
    assert root_of([]) == EMPTY


def test_a_path_that_is_none_is_refused() -> None:
    for step in ("", "X" + "00" * 32, "L00", "R" + "zz" * 32):
        with pytest.raises(ValueError):
            climbed(leaf_hash(b""), [step])
    with pytest.raises(IndexError):
        path_to([leaf_hash(b"")], 1)
