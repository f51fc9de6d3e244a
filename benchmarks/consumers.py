"""The consumers' part of the benchmark: real workers of this project against Celery's and Procrastinate's.

Their handlers are in `benchmarks/messaging.py`.
"""

from pathlib import Path

from benchmarks.report import Half

HALF = Half(
    name="consumers",
    title="How fast handlers are called",
    explanation="""\
All sides of a case are measured in every round, one after the other and in alternating order; the ratio is the
median of the rounds' own ratios. `ours` and `against` are medians, and on a shared machine they drift: trust the
ratios. Workers are those of the Procfile and Celery's own, 2 processes each, on the same PostgreSQL and Valkey.
What exactly is measured is said in `benchmarks/consumer_rates.py`, `benchmarks/consumer_latency.py` and
`benchmarks/consumer_idle.py`. The row `idle` is a difference, in hundredths of a core.""",
    cases={
        "batches": "benchmarks.consumer_rates.measure_batches",
        "rows": "benchmarks.consumer_rates.measure_rows",
        "latency": "benchmarks.consumer_latency.measure_latency",
        "idle": "benchmarks.consumer_idle.measure_idle",
    },
    results=Path(__file__).parent / "CONSUMER_RESULTS.md",
    standing=(0,),
)
