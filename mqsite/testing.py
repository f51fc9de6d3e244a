"""For customers' tests: pytest fixtures. `pytest_plugins = ["mqsite.testing"]` in conftest.py brings them in.

Django is imported late: pytest loads plugins before it is set up. For unittest: `mqsite.testcase`.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mqsite.testcase import Messages


@pytest.fixture
def mq(db: None) -> "Iterator[Messages]":
    """What the test publishes and sends, and `mq.run()` to call its handlers: see `mqsite.testcase.Messages`."""
    from mqsite.testcase import collect_messages

    with collect_messages() as messages:
        yield messages


@pytest.fixture
def assign_published() -> Callable[[], None]:
    """Call it to see, inside a test's transaction, what the code under test has published.

    Records get their offsets when their transaction commits; a test that Django wraps in one (TestCase,
    `django_db`) never commits. Calling this assigns the offsets now, in the test's own transaction.
    """
    from logs.services import assign_published

    return assign_published


@pytest.fixture
def place_sent() -> Callable[[], None]:
    """Call it to receive, inside a test's transaction, what the code under test has sent.

    Messages with a `dedup_id`, and those of ordered queues, find their place when their transaction commits.
    Calling this does now what that COMMIT would do to queues.
    """
    from queues.services import place_sent

    return place_sent
