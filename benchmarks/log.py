"""The log's half of the benchmark: its cases, against what its PostgreSQL could do at best."""

from pathlib import Path

from benchmarks.report import Half

HALF = Half(
    name="log",
    title="How fast the log is",
    explanation="""\
Both sides of a case are measured in every round, one after the other and in alternating order; the ratio is
the median of the rounds' own ratios. `ours` and `against` are medians, and on a shared machine they drift:
trust the ratios. What exactly is measured is said in `benchmarks/log_rates.py`, `log_life.py`, `log_members.py` and
`log_groups.py`.""",
    cases={
        "batches": "benchmarks.log_rates.measure_batches",
        "keys": "benchmarks.log_rates.measure_keys",
        "singles": "benchmarks.log_rates.measure_singles",
        "producers": "benchmarks.log_rates.measure_producers",
        "transactions": "benchmarks.log_rates.measure_transactions",
        "fetch": "benchmarks.log_rates.measure_fetch",
        "standing": "benchmarks.log_life.measure_standing",
        "snapshot": "benchmarks.log_life.measure_snapshot",
        "expiry": "benchmarks.log_life.measure_expiry",
        "waking": "benchmarks.log_life.measure_waking",
        "commits": "benchmarks.log_members.measure_commits",
        "sharing": "benchmarks.log_members.measure_sharing",
        "churned": "benchmarks.log_members.measure_churned_commits",
        "resets": "benchmarks.log_members.measure_resets",
        "lag": "benchmarks.log_groups.measure_lag",
    },
    results=Path(__file__).parent / "RESULTS.md",
    standing=(10_000, 1_000_000, 10_000_000),
)
