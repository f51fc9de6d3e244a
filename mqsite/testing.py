"""For customers' tests: pytest fixtures. `pytest_plugins = ["mqsite.testing"]` in conftest.py brings them in."""

from collections.abc import Callable

import pytest


@pytest.fixture
def assign_published() -> Callable[[], None]:
    """Call it to see, inside a test's transaction, what the code under test has published.

    Records get their offsets when their transaction commits; a test that Django wraps in one (TestCase,
    `django_db`) never commits. Calling this assigns the offsets now, in the test's own transaction.
    """
    from logs.services import assign_published

    return assign_published
