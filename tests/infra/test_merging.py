"""How the overlay is laid over what Chalice generates."""

import pytest

from local.deploy.merging import Added, Removed, Replaced, Unmergeable, merged, renamed


def test_mappings_merge_and_both_stay_as_they_were() -> None:
    base, over = {"a": {"x": 1}}, {"a": {"y": 2}, "b": 3}
    assert merged(base, over) == {"a": {"x": 1, "y": 2}, "b": 3}
    assert (base, over) == ({"a": {"x": 1}}, {"a": {"y": 2}, "b": 3})


def test_two_functions_in_one_place_never_become_one() -> None:
    assert merged({"Role": {"Fn::GetAtt": ["A", "Arn"]}}, {"Role": {"Ref": "B"}}) == {"Role": {"Ref": "B"}}
    assert merged({"Role": {"Ref": "A"}}, {"Role": {"x": 1}}) == {"Role": {"x": 1}}


def test_a_list_over_a_list_needs_a_word() -> None:
    with pytest.raises(Unmergeable, match="/a"):
        merged({"a": [1]}, {"a": [2]})
    assert merged({"a": [1]}, {"a": Added([2])}) == {"a": [1, 2]}
    assert merged({"a": [1]}, {"a": Replaced([2])}) == {"a": [2]}
    assert merged({}, {"a": {"b": Added([2])}}) == {"a": {"b": [2]}}


def test_what_is_removed_has_to_be_there() -> None:
    assert merged({"a": 1, "b": 2}, {"a": Removed()}) == {"b": 2}
    with pytest.raises(Unmergeable, match="/a"):
        merged({}, {"a": Removed()})


def test_a_resource_is_renamed_wherever_it_is_spoken_of() -> None:
    before = {
        "Old": {"x": {"Ref": "Old"}},
        "y": [{"Fn::GetAtt": ["Old", "Arn"]}, {"Fn::Sub": "${Old.Arn} ${Old} ${Older}"}],
        "z": "Old",
    }
    assert renamed(before, "Old", "New") == {
        "New": {"x": {"Ref": "New"}},
        "y": [{"Fn::GetAtt": ["New", "Arn"]}, {"Fn::Sub": "${New.Arn} ${New} ${Older}"}],
        "z": "Old",
    }
