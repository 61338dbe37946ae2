"""Intervals come out as the papers and handbooks have them."""

from math import sqrt
from statistics import mean, variance

import pytest

from chalicelib.campaigns.rules.statistics import (
    Sample,
    degrees_of_freedom,
    difference_of_means,
    difference_of_shares,
    sample_of,
    share,
    t_quantile,
)


@pytest.mark.parametrize(
    ("some", "of", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3: Wilson's score without correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_share_lies_where_wilson_puts_it(some: int, of: int, low: float, high: float) -> None:
    found = share(some, of)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert found.value == some / of


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10: the hybrid score.
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_a_difference_of_shares_lies_where_newcombe_puts_it(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    found = difference_of_shares(*first, *second)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@pytest.mark.parametrize(
    ("freedom", "t"),
    [(1, 12.7062), (2, 4.3027), (5, 2.5706), (10, 2.2281), (30, 2.0423), (120, 1.9799), (1e6, 1.9600), (1e9, 1.9600)],
)
def test_quantiles_of_t_are_those_of_the_tables(freedom: float, t: float) -> None:
    assert round(t_quantile(0.975, freedom), 4) == t


def test_welch_of_the_nist_handbook() -> None:
    """NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.3, AUTO83B: T = -12.94627, 136.8750 degrees of freedom."""
    american, japanese = Sample(249, 20.14458, 6.414700**2), Sample(79, 30.48101, 6.107710**2)
    spread = sqrt(american.variance / american.size + japanese.variance / japanese.size)
    assert round((american.mean - japanese.mean) / spread, 4) == -12.9463
    assert round(degrees_of_freedom(american, japanese), 3) == 136.875
    found = difference_of_means(american, japanese)
    assert (round(found.low, 3), round(found.high, 3)) == (-11.915, -8.758)


def test_a_sample_from_sums_is_the_sample_itself_also_where_floats_would_cancel() -> None:
    values = [10**9 + each for each in (1, 5, 2, 8, 3)]
    found = sample_of(len(values), sum(values), sum(each * each for each in values))
    assert (found.size, found.mean) == (5, mean(values))
    assert found.variance == pytest.approx(variance(values), rel=1e-12)


def test_samples_that_do_not_vary_differ_by_a_number_without_a_range() -> None:
    found = difference_of_means(Sample(10, 5.0, 0.0), Sample(10, 3.0, 0.0))
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)
