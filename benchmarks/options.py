"""How much of it."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Options:
    rounds: int = 5
    standing: tuple[int, ...] = (10_000, 1_000_000, 10_000_000)
    seconds: float = 3.0  # of each measurement of single calls, and of what runs beside something else
    # Of the log:
    batch_records: int = 100_000  # moved in each measurement of batches
    churn: int = 100_000  # single appends under a held snapshot
    expiring: int = 5_000_000
    # Of the queue:
    messages: int = 50_000  # sent, or received and acknowledged, in each measurement of batches
    churned: int = 200_000  # received and acknowledged under a held snapshot
    behind: int = 100_000  # waiting behind one blocked group key
    jobs: int = 2_000  # that a worker, ours or a peer's, handles in each measurement
    latency_seconds: float = 10.0
    # Of the consumers:
    idle_seconds: float = 20.0  # that a stack with nothing to do is watched, after as many seconds to settle


def shrink(options: Options) -> Options:
    """Small enough to see within two minutes that everything runs. Its figures mean nothing."""
    return replace(
        options,
        rounds=min(options.rounds, 2),
        standing=(10_000, 100_000),
        seconds=0.3,
        batch_records=5_000,
        churn=2_000,
        expiring=100_000,
        messages=3_000,
        churned=5_000,
        behind=2_000,
        jobs=100,
        latency_seconds=2.0,
        idle_seconds=3.0,
    )
