"""Publishes and sends what it is told, line by line: `python -m tests.faults.sender`, lines "log TOPIC TEXT"."""

import sys

import django
from django.db import close_old_connections


def main() -> None:
    django.setup()
    from logs.services import publish
    from queues.services import send
    from tests.faults.cells import LOG
    from tests.faults.messaging import OWNER, QUEUES, TOPICS

    for line in sys.stdin:
        half, name, text = line.split()
        close_old_connections()
        if half == LOG:
            publish(TOPICS[name], text)
        else:
            send(QUEUES[name], text, sender=OWNER)
        print(line, end="", flush=True)


if __name__ == "__main__":
    main()
