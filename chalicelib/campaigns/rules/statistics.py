"""How sure a difference is: intervals with 95 % confidence. Pure.

Sources: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212, for a share; R. G. Newcombe, Statistics in Medicine 17
(1998) 873-890, method 10 (hybrid score), for the difference of two shares; B. L. Welch, Biometrika 34 (1947) 28-35,
with the degrees of freedom of F. E. Satterthwaite (1946), for the difference of two means.
"""

from dataclasses import dataclass
from math import exp, inf, lgamma, log, log1p, sqrt
from statistics import NormalDist

CONFIDENCE = 0.95
_TAIL = 1 - (1 - CONFIDENCE) / 2
_Z = NormalDist().inv_cdf(_TAIL)
_STEPS_MAX = 500
_TINY = 1e-300
_DF_NORMAL = 1e7
"""From so many degrees of freedom on, t is the normal distribution to more digits than are shown."""


@dataclass(frozen=True, slots=True)
class Range:
    """An estimate and where it lies."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample, by its size, its mean and its variance (of the sample: over n - 1)."""

    size: int
    mean: float
    variance: float


def sample_of(size: int, total: int, squares: int) -> Sample:
    """A sample from its sum and its sum of squares, exactly: whole numbers do not cancel."""
    if size < 2:
        return Sample(size, total / size if size else 0.0, 0.0)
    return Sample(size, total / size, (size * squares - total * total) / (size * (size - 1)))


def share(some: int, of: int) -> Range:
    """A share, by Wilson's score.

    Args:
        of: at least 1.
    """
    p, z2 = some / of, _Z * _Z
    middle = (2 * some + z2) / (2 * (of + z2))
    half = _Z * sqrt(z2 + 4 * some * (1 - p)) / (2 * (of + z2))
    return Range(p, max(middle - half, 0.0), min(middle + half, 1.0))


def difference_of_shares(some: int, of: int, others: int, of_others: int) -> Range:
    """The first share less the second, by Newcombe's hybrid score."""
    first, second = share(some, of), share(others, of_others)
    gap = first.value - second.value
    down = sqrt((first.value - first.low) ** 2 + (second.high - second.value) ** 2)
    up = sqrt((first.high - first.value) ** 2 + (second.value - second.low) ** 2)
    return Range(gap, gap - down, gap + up)


def degrees_of_freedom(first: Sample, second: Sample) -> float:
    """Welch's and Satterthwaite's; infinite when neither sample varies."""
    a, b = first.variance / first.size, second.variance / second.size
    if a + b == 0:
        return inf
    return (a + b) ** 2 / (a * a / (first.size - 1) + b * b / (second.size - 1))


def difference_of_means(first: Sample, second: Sample) -> Range:
    """The first mean less the second, by Welch's t.

    Args:
        first, second: of at least two each.
    """
    gap = first.mean - second.mean
    spread = sqrt(first.variance / first.size + second.variance / second.size)
    half = t_quantile(_TAIL, degrees_of_freedom(first, second)) * spread
    return Range(gap, gap - half, gap + half)


def t_quantile(p: float, freedom: float) -> float:
    """The quantile of Student's t above its middle.

    Args:
        p: at least one half.
        freedom: degrees of freedom, at least 1, not necessarily whole.
    """
    if freedom >= _DF_NORMAL:
        return NormalDist().inv_cdf(p)
    low, high = 0.0, 1.0
    while _t_below(high, freedom) < p:
        low, high = high, high * 2
    for _ in range(100):
        middle = (low + high) / 2
        if _t_below(middle, freedom) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _t_below(t: float, freedom: float) -> float:
    """How much of Student's t lies below a value that is not negative."""
    return 1 - _beta_share(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2


def _beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(b, a, 1 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    return front / _continued(a, b, x)


def _continued(a: float, b: float, x: float) -> float:
    """The continued fraction below that function (NIST Handbook of Mathematical Functions, 8.17.22), by Lentz."""
    value = upper = 1.0
    lower = 0.0
    for step in range(1, _STEPS_MAX):
        half, odd = divmod(step, 2)
        if odd:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        lower = 1 / ((1 + term * lower) or _TINY)
        upper = (1 + term / upper) or _TINY
        value *= lower * upper
        if abs(lower * upper - 1) < 1e-15:
            break
    return value
