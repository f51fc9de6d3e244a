"""What a person fills in to pause a consumer group or to move its offsets."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django import forms

from logs.models import ConsumerGroup

MAX_FILE_CHARACTERS = 4_000  # it is part of the address, so that a link shows the same preview
MAX_BACK = 100_000
MOST_BOXES = 128  # above: only whole topics are offered, and what is chosen already
MOST_NAMES = 100
UNITS = {"minutes": "PT{}M", "hours": "PT{}H", "days": "P{}D"}  # as ISO 8601

Places = dict[str, list[int] | None]


class Option(NamedTuple):
    """One way to say where a group shall read next. `needs` is asked for, `fields` are all that belong to it."""

    mode: str
    title: str
    hint: str
    needs: str = ""
    fields: tuple[str, ...] = ()


OPTIONS = (
    Option("to-earliest", "To the log start", "Replay everything that is still kept."),
    Option("to-latest", "To the log end", "Skip what is unread. Nothing is deleted."),
    Option("to-datetime", "To a time", "The first record published at or after it.", "time", ("time",)),
    Option("by-duration", "Back by a duration", "The first record published since then.", "back", ("back", "unit")),
    Option("shift-by", "Shift by", "Back or forward from where it stands.", "shift", ("shift",)),
    Option("to-offset", "To an offset", "The same in every chosen partition.", "offset", ("offset",)),
    Option("from-file", "To offsets from a file", "Lines topic,partition,offset.", "file", ("file",)),
    Option("from-group", "To where another group is", "Of the partitions both read.", "other", ("other",)),
    Option("to-current", "To where it stands", "Commits its place, also where it has not started."),
    Option("skip-one", "Skip one record", "The one that one partition stands at. It stays in the log."),
)


class PlacesForm(forms.Form):
    """Some of what a group reads: each `at` is a topic, or `topic:partition`. None at all is everything."""

    at = forms.MultipleChoiceField(required=False)

    def __init__(self, *args: Any, topics: Iterable[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = {topic["name"]: [p["number"] for p in topic["partitions"]] for topic in topics}
        self.read = names
        places = [f"{name}:{number}" for name, numbers in names.items() for number in numbers]
        self.fields["at"].choices = [(place, place) for place in [*names, *places]]  # type: ignore[attr-defined]
        self.fields["at"].error_messages["invalid_choice"] = "The group does not read %(value)s."

    @property
    def places(self) -> Places | None:
        chosen: Places = {}
        for place in self.cleaned_data["at"]:
            topic, _, number = place.partition(":")
            numbers = chosen.setdefault(topic, [])
            if not number:
                chosen[topic] = None
            elif numbers is not None:
                numbers.append(int(number))
        return chosen or None


def draw_boxes(topics: Iterable[dict[str, Any]], chosen: Iterable[str]) -> list[dict[str, Any]]:
    """Per topic the boxes to tick: itself and its partitions, where those are not too many."""
    ticked = set(chosen)
    found = list(topics)
    listed = sum(len(topic["partitions"]) for topic in found) <= MOST_BOXES
    drawn = []
    for topic in found:
        values = [f"{topic['name']}:{p['number']}" for p in topic["partitions"]]
        boxes = [(value, value.rpartition(":")[2]) for value in values if listed or value in ticked]
        whole = [(topic["name"], f"all {len(values):,}")]
        shown = [{"value": v, "label": label, "is_ticked": v in ticked} for v, label in [*whole, *boxes]]
        drawn.append({"name": topic["name"], "boxes": shown})
    return drawn


class PauseForm(PlacesForm):
    """What shall stand still, and why."""

    reason = forms.CharField(error_messages={"required": "Why? It is kept in the audit."})


class WhyForm(forms.Form):
    """Why somebody does it."""

    reason = forms.CharField(max_length=1_000, error_messages={"required": "Say why. It is kept in the audit."})


def _ask_number(name: str, **more: Any) -> forms.IntegerField:
    attrs = {"aria-label": name, "class": "mono w90"}
    return forms.IntegerField(required=False, widget=forms.NumberInput(attrs=attrs), **more)


class ResetForm(PlacesForm):
    """Where a group shall read next. Read from the address, so that a link shows the same preview."""

    mode = forms.ChoiceField(choices=[(option.mode, option.title) for option in OPTIONS])
    time = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(
            format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": "1", "aria-label": "Time"}
        ),
        help_text="UTC",
    )
    back = _ask_number("How much back", min_value=0, max_value=MAX_BACK)
    unit = forms.ChoiceField(
        required=False,
        choices=[(unit, unit) for unit in UNITS],
        widget=forms.Select(attrs={"aria-label": "Unit"}),
        help_text="before now",
    )
    shift = _ask_number("Records to shift by, negative is back", help_text="records, negative is back")
    offset = _ask_number("Offset", min_value=0)
    file = forms.CharField(
        required=False,
        max_length=MAX_FILE_CHARACTERS,
        widget=forms.Textarea(
            attrs={"rows": 4, "aria-label": "Lines", "class": "mono", "placeholder": "topic,partition,offset"}
        ),
    )
    other = forms.CharField(
        required=False,
        widget=forms.TextInput(attrs={"aria-label": "Name of the group", "list": "others", "autocomplete": "off"}),
    )

    def __init__(self, *args: Any, group: str, topics: Iterable[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, topics=topics, **kwargs)
        self.group = group

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        option = self.option
        if option and option.needs and option.needs not in self.errors and given.get(option.needs) in {None, ""}:
            self.add_error(option.needs, f"{option.title}: which?")
        return given

    @property
    def option(self) -> Option | None:
        return next((option for option in OPTIONS if option.mode == self.cleaned_data.get("mode")), None)

    @property
    def value(self) -> Any:
        """What `services.plan_reset` takes with the mode."""
        option = self.option
        if option is None or not option.needs:
            return None
        value = self.cleaned_data[option.needs]
        if option.needs == "back":
            return UNITS[self.cleaned_data["unit"] or "hours"].format(value)
        return value

    def options(self) -> list[dict[str, Any]]:
        """As the page lists them, each with the fields that belong to it."""
        chosen = self["mode"].value()
        return [
            {**option._asdict(), "is_chosen": option.mode == chosen, "asks": [self[name] for name in option.fields]}
            for option in OPTIONS
        ]

    def others(self) -> list[str]:
        """Groups that read some of the same, to choose from."""
        found = ConsumerGroup.objects.filter(group_partitions__partition__topic__name__in=list(self.read))
        return list(found.exclude(name=self.group).distinct().values_list("name", flat=True)[:MOST_NAMES])

    def complaints(self) -> list[str]:
        return [str(error) for errors in self.errors.values() for error in errors]
