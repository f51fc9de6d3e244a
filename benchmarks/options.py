"""How much of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    rounds: int = 5
    standing: tuple[int, ...] = (10_000, 1_000_000, 10_000_000)
    seconds: float = 3.0  # of each measurement of single publishes, and of what runs beside something else
    batch_records: int = 100_000  # moved in each measurement of batches
    churn: int = 100_000  # single appends under a held snapshot
    expiring: int = 5_000_000


def shrink(options: Options) -> Options:
    """Small enough to see within two minutes that everything runs. Its figures mean nothing."""
    return Options(
        rounds=min(options.rounds, 2),
        standing=(10_000, 100_000),
        seconds=0.3,
        batch_records=5_000,
        churn=2_000,
        expiring=100_000,
    )
