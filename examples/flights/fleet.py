"""Where fleet-tracking last saw each aircraft. It knows nothing of messaging."""

from django.db import connection

# One statement, and none at all for what is older than what is known: a replay moves no aircraft back.
_SEE = """
INSERT INTO flights_aircraft AS known (tail_number, flight, destination, scheduled_at)
VALUES (%s, %s, %s, %s)
ON CONFLICT (tail_number) DO UPDATE SET
    flight = excluded.flight, destination = excluded.destination, scheduled_at = excluded.scheduled_at
WHERE known.scheduled_at <= excluded.scheduled_at
"""


def see_aircraft(tail_number: str, *, flight: str, destination: str, scheduled_at: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SEE, [tail_number, flight, destination, scheduled_at])
