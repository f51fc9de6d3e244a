"""A topic or a queue for each cell of the run, and one of each for those whom nothing happens to."""

import os

from logs.declarations import Group, Topic
from queues.declarations import Queue
from tests.faults.cells import LOG, OTHERS, PAIRWISE, SHUTDOWN, choose

OWNER = "faults"

CELLS = choose(os.environ.get("FAULTS_CELLS", PAIRWISE))
GROUP = Group("faults", owner=OWNER)
TOPICS = {name: Topic(name, owner=OWNER) for name in [*(str(c) for c in CELLS if c.half == LOG), OTHERS, SHUTDOWN]}
QUEUES = {name: Queue(name, owner=OWNER) for name in [*(str(c) for c in CELLS if c.half != LOG), OTHERS, SHUTDOWN]}
