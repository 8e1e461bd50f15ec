"""Numbers as a person reads them: no exponents, and no digit less than tells two of them apart."""

from __future__ import annotations

MOST_DECIMALS = 12
RARE = 1e-6
"""A share below which its digits say nothing more."""


def plain(value: float) -> str:
    """A number near others of its kind: as few decimals as keep it within a thousandth of its distance from 0 and from 1.

    >>> [plain(value) for value in (0.99999, 0.1, 0.957603280698, 250.0, 12345.6, 0.000001, 1.0, -0.5)]
    ['0.99999', '0.1', '0.9576', '250', '12,346', '0.000001', '1', '-0.5']
    """
    near = min(abs(value), abs(1.0 - abs(value))) or abs(value)
    for decimals in range(MOST_DECIMALS):
        told = f"{value:,.{decimals}f}"
        if abs(float(told.replace(",", "")) - value) <= 0.001 * near:
            return told
    return f"{value:,.{MOST_DECIMALS}f}"


def percent(share: float) -> str:
    """A share with two digits: `1.1%`, `50%`, `0.0049%`; what is rarer than one in a million is only said to be.

    >>> [percent(share) for share in (0.0, 4.9e-8, 0.000049, 0.01, 0.0105, 0.5, 0.995, 1.0)]
    ['0%', 'below 0.0001%', '0.0049%', '1%', '1.1%', '50%', '99.5%', '100%']
    """
    if 0.0 < share < RARE:
        return f"below {RARE * 100:.4f}%"
    return f"{digits(share * 100.0)}%"


def digits(value: float) -> str:
    """Two significant digits, three from 99 on: of percents, one more tells it from all.

    >>> [digits(value) for value in (0.0000123, 0.96, 12.34, 99.5, 0.0)]
    ['0.000012', '0.96', '12', '99.5', '0']
    """
    size = 1 if value < 99 else 2
    exact = float(f"{value:.{size}e}")
    text = f"{exact:.10f}".rstrip("0").rstrip(".")
    return text or "0"
