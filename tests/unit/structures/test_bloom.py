"""How large a filter is, and which bits a member sets."""

from __future__ import annotations

import pytest

from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.structures.bloom import Size, hashes_of, size_for


@pytest.mark.parametrize(
    ("capacity", "error", "size"),
    [
        (1_000_000, 0.01, Size(9_585_064, 7, 1_000_000)),
        (1_000_000, 0.001, Size(14_377_592, 10, 1_000_000)),
        (1000, 0.5, Size(1448, 1, 1000)),
        (1, 0.01, Size(64, 44, 1)),
        (0, 0.01, Size(64, 1, 1)),
    ],
)
def test_sizes(capacity: int, error: float, size: Size) -> None:
    """Bits and hashes are those of Bloom's formulas, in whole bytes, eight at least."""
    assert size_for(capacity, error) == size


@pytest.mark.parametrize("error", [0, 1, -0.5, 2.0, float("nan")])
def test_errors_that_are_no_shares(error: float) -> None:
    """A share is above 0 and below 1."""
    with pytest.raises(Misconfigured, match="between 0 and 1"):
        size_for(10, error)


def test_more_than_redis_holds() -> None:
    """Above 512 MB the call says what would help."""
    assert size_for(448_000_000, 0.01).bits < 2**32
    with pytest.raises(Misconfigured, match="Allow a larger error"):
        size_for(449_000_000, 0.01)


def test_hashes() -> None:
    """Two numbers of 42 bits, the second odd, the same in every process and release."""
    assert hashes_of("id=7") == hashes_of("id=7")
    pairs = [hashes_of(f"id={number}") for number in range(1000)]
    assert len({first for first, _ in pairs}) == len({second for _, second in pairs}) == 1000
    assert max(max(pair) for pair in pairs) < 2**42
    assert {second % 2 for _, second in pairs} == {1}
    assert max(first for first, _ in pairs) > 2**41
