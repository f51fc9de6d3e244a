"""How long Hypothesis looks for a difference between an engine and its model."""

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

BASE: dict[str, Any] = {"deadline": None, "print_blob": True, "suppress_health_check": list(HealthCheck)}


def look_shortly(machine: type[RuleBasedStateMachine]) -> None:
    """The same few seconds each time."""
    options = settings(max_examples=4, stateful_step_count=30, derandomize=True, **BASE)
    run_state_machine_as_test(machine, settings=options)


def look_long(machine: type[RuleBasedStateMachine], *, examples: int) -> None:
    """Elsewhere each time. MQSITE_LONG_EXAMPLES asks for more."""
    wanted = int(os.environ.get("MQSITE_LONG_EXAMPLES", examples))
    options = settings(max_examples=wanted, stateful_step_count=50, database=None, **BASE)
    run_state_machine_as_test(machine, settings=options)
