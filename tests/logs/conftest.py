"""What tests of the log share."""

import os
import random

import pytest


@pytest.fixture
def seed() -> int:
    """Printed, so that a failure can be sought again: MQSITE_STRESS_SEED=... takes it."""
    found = int(os.environ.get("MQSITE_STRESS_SEED") or random.randrange(10**6))
    print(f"MQSITE_STRESS_SEED={found}")
    return found
