"""One table for each boundary. They share a database, not foreign keys: each could move out."""

from django.db import models


class Departure(models.Model):
    """What operations recorded: a flight that left, or was cancelled."""

    row = models.PositiveIntegerField(primary_key=True)  # its line in the file: recorded once, however often we play
    flight = models.CharField(max_length=8)
    tail_number = models.CharField(max_length=8, blank=True)  # empty where none was assigned
    origin = models.CharField(max_length=3)
    destination = models.CharField(max_length=3)
    scheduled_at = models.DateTimeField()
    delay_minutes = models.IntegerField(null=True)  # negative: early; None: cancelled

    class Meta:
        ordering = ["row"]

    def __str__(self) -> str:
        return f"{self.flight} {self.origin}-{self.destination}"


class BoardRow(models.Model):
    """What airport-displays counted at an airport, in one partition of `flights`.

    Per partition, so that two workers never wait for each other and a reset of some partitions
    takes back exactly what came from them.
    """

    partition = models.PositiveIntegerField()
    airport = models.CharField(max_length=3)
    departures = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)
    delayed_over_hour = models.PositiveIntegerField(default=0)
    delay_minutes = models.PositiveIntegerField(default=0)  # of those that left late
    worst_delay_minutes = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["airport", "partition"]
        constraints = [models.UniqueConstraint(fields=["partition", "airport"], name="flights_board_row")]

    def __str__(self) -> str:
        return f"{self.airport}, partition {self.partition}"


class Aircraft(models.Model):
    """Where fleet-tracking last saw an aircraft: on its way to `destination`."""

    tail_number = models.CharField(max_length=8, primary_key=True)
    flight = models.CharField(max_length=8)
    destination = models.CharField(max_length=3)
    scheduled_at = models.DateTimeField()

    class Meta:
        ordering = ["tail_number"]
        verbose_name_plural = "aircraft"

    def __str__(self) -> str:
        return self.tail_number


class Rebooking(models.Model):
    """What customer-care did for the passengers of a departure. Never twice: the key is the proof."""

    departure = models.PositiveIntegerField(primary_key=True)  # Departure.row
    flight = models.CharField(max_length=8)
    destination = models.CharField(max_length=3)
    delay_minutes = models.PositiveIntegerField()

    class Meta:
        ordering = ["departure"]

    def __str__(self) -> str:
        return f"Passengers of {self.flight} to {self.destination}"
