"""The queue's half of the benchmark: its cases, against raw limits of its PostgreSQL and against peers."""

from pathlib import Path

from benchmarks.report import Half

HALF = Half(
    name="queue",
    title="How fast the queue is",
    explanation="""\
Both sides of a case are measured in every round, one after the other and in alternating order; the ratio is
the median of the rounds' own ratios. `ours` and `against` are medians, and on a shared machine they drift:
trust the ratios. All of ours goes through `queues.services`, in Python, with payloads of 250 bytes unless said.
What exactly is measured is said in `benchmarks/queue_rates.py`, `benchmarks/queue_life.py`,
`benchmarks/queue_ordered.py`, `benchmarks/queue_peers.py`, `benchmarks/consumer_rates.py` and
`benchmarks/consumer_latency.py`.""",
    cases={
        "batches": "benchmarks.queue_rates.measure_batches",
        "singles": "benchmarks.queue_rates.measure_singles",
        "receive": "benchmarks.queue_rates.measure_receive",
        "handlers": "benchmarks.queue_rates.measure_handlers",
        "deliveries": "benchmarks.consumer_rates.measure_deliveries",
        "snapshot": "benchmarks.queue_life.measure_snapshot",
        "standing": "benchmarks.queue_life.measure_standing",
        "wal": "benchmarks.queue_life.measure_wal",
        "blocked": "benchmarks.queue_ordered.measure_blocked",
        "ordered": "benchmarks.queue_ordered.measure_ordered",
        "latency": "benchmarks.consumer_latency.measure_sends",
        "pgqueuer": "benchmarks.queue_peers.measure_pgqueuer",
        "procrastinate": "benchmarks.queue_peers.measure_procrastinate",
        "celery": "benchmarks.queue_peers.measure_celery",
    },
    results=Path(__file__).parent / "QUEUE_RESULTS.md",
    standing=(10_000, 100_000, 1_000_000),
)
