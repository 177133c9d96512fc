"""Simulated prices: a random walk that is a pure function of time, so that it goes on where it was when the server restarts."""

from dataclasses import dataclass
from math import exp, floor, sqrt
from zlib import crc32

OCTAVES = 18  # from half a second to a day and a half
SHORTEST = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Instrument:
    """What is traded, around which price, and how far it moves in a minute."""

    symbol: str
    name: str
    base: float
    volatility: float


INSTRUMENTS = (
    Instrument("BTC", "Bitcoin", 97_400.0, 0.00045),
    Instrument("ETH", "Ether", 3_420.0, 0.0006),
    Instrument("SOL", "Solana", 188.0, 0.0009),
    Instrument("AVAX", "Avalanche", 36.4, 0.0011),
    Instrument("LINK", "Chainlink", 23.8, 0.001),
)


def price(instrument: Instrument, at: float) -> float:
    """The price at a time in seconds. Noise of every period, with variance growing with the period, is a random walk."""
    seed = crc32(instrument.symbol.encode())
    total = 0.0
    for octave in range(OCTAVES):
        period = SHORTEST * 2**octave
        total += sqrt(period / 60) * _noise(seed + octave * 0x9E3779B1, at / period)
    return instrument.base * exp(instrument.volatility * total)


def change(instrument: Instrument, at: float) -> float:
    """How far the price has moved in 24 hours, in percent."""
    return (price(instrument, at) / price(instrument, at - 86_400) - 1) * 100


def _noise(seed: int, x: float) -> float:
    """Random values at whole numbers, from -1 to 1, with a smooth curve between them."""
    left = floor(x)
    t = x - left
    a, b = _hash(seed, left), _hash(seed, left + 1)
    return a + (b - a) * t * t * (3 - 2 * t)


def _hash(seed: int, n: int) -> float:
    """splitmix64's finaliser."""
    z = (seed * 0xBF58476D1CE4E5B9 + n * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return ((z ^ (z >> 31)) >> 11) / (1 << 52) - 1
