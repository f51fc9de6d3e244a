"""How long to wait before trying again."""

import random

FIRST_SECONDS = 1.0
MOST_SECONDS = 300.0


def backoff_seconds(attempts: int, *, first: float = FIRST_SECONDS, most: float = MOST_SECONDS) -> float:
    """Seconds to wait after `attempts` failures: doubling, at most `most`, with a fifth of jitter."""
    seconds = min(most, first * 2 ** min(max(attempts, 1) - 1, 30))
    return float(seconds * random.uniform(0.8, 1.0))
