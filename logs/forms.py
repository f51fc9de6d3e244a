"""What a person fills in."""

from datetime import datetime
from typing import Any

from django import forms

from logs.configs import CONFIGS, Config
from logs.keeping import say_config
from logs.models import Topic
from mqsite.errors import Invalid


def _ask_reason() -> forms.CharField:
    return forms.CharField(widget=forms.TextInput(attrs={"size": 60}), help_text="Kept in the audit.")


def _say_default(config: Config) -> str:
    """`604800000 (7 days)`"""
    words = say_config(config.name, config.default)
    return words if config.least is None or words == str(config.default) else f"{config.default} ({words})"


class ResetForm(forms.Form):
    """Where to move a group's offsets, and why."""

    to = forms.ChoiceField(
        label="Move to",
        choices=[("earliest", "the log start: read everything again"), ("latest", "the log end"), ("offset", "offset")],
    )
    offset = forms.IntegerField(min_value=0, required=False, help_text="The next offset to read.")
    reason = _ask_reason()

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("to") == "offset" and given.get("offset") is None and "offset" not in self.errors:
            self.add_error("offset", "Which offset?")
        return given

    @property
    def target(self) -> str | int:
        """As `services.reset_offsets` takes it."""
        to: str = self.cleaned_data["to"]
        offset: int = self.cleaned_data["offset"] or 0
        return offset if to == "offset" else to


class TopicForm(forms.ModelForm):
    """A topic's description and configurations.

    The page remembers what it showed, so that only what was changed on it is altered: two who alter a topic at
    once do not undo each other.
    """

    reason = _ask_reason()

    class Meta:
        model = Topic
        fields = ["description", *(config.field for config in CONFIGS.values())]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for config in CONFIGS.values():
            field = self.fields.get(config.field)
            if field is None:  # the admin leaves out what somebody may only look at
                continue
            field.label = config.name
            field.help_text = f"{config.description} Default: {_say_default(config)}."
            if isinstance(field, forms.ChoiceField):
                field.choices = [(word, word) for word in config.choices]
            field.required = False
        for name, field in self.fields.items():
            field.show_hidden_initial = name != "reason"
        if "description" in self.fields:
            self.fields["description"].widget.attrs["rows"] = 2

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for config in CONFIGS.values():
            if config.field in given:
                try:
                    config.parse(given[config.field])
                except Invalid as error:
                    self.add_error(config.field, str(error))
        if not self.errors and not self.changes:
            self.add_error(None, "Nothing is changed.")
        return given

    @property
    def changes(self) -> dict[str, Any]:
        """As `services.alter_topic` takes them; an empty number asks for the default."""
        configs = {c.name: self.cleaned_data[c.field] for c in CONFIGS.values() if c.field in self.changed_data}
        changes: dict[str, Any] = {"configs": configs} if configs else {}
        if "description" in self.changed_data:
            changes["description"] = self.cleaned_data["description"]
        return changes


class PartitionsForm(forms.Form):
    """How many partitions a topic shall have."""

    total = forms.IntegerField(label="Partitions", help_text="All together. They can only grow.")
    reason = _ask_reason()


class DeleteRecordsForm(forms.Form):
    """Which records shall go."""

    partitions = forms.CharField(required=False, help_text="Numbers, such as 0, 3. Empty: all.")
    what = forms.ChoiceField(
        label="Delete",
        choices=[("all", "all records there are now"), ("time", "those before a time"), ("offset", "before an offset")],
    )
    time = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}),
        help_text="In UTC. Deletes up to the first record of this time or later.",
    )
    offset = forms.IntegerField(required=False, min_value=0, help_text="The first offset to keep.")
    reason = _ask_reason()

    def clean_partitions(self) -> list[int] | None:
        words = self.cleaned_data["partitions"].replace(",", " ").split()
        if not all(word.isascii() and word.isdecimal() for word in words):
            raise forms.ValidationError("These are no numbers of partitions.")
        return [int(word) for word in words] or None

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        what = given.get("what")
        if what in {"time", "offset"} and given.get(what) is None and what not in self.errors:
            self.add_error(what, f"Which {what}?")
        return given

    @property
    def start(self) -> str | int | datetime:
        """The first record to keep, as `selectors.find_offsets` takes it."""
        what: str = self.cleaned_data["what"]
        start: int | datetime = self.cleaned_data.get(what, 0)
        return "latest" if what == "all" else start


class PinnedDeletionForm(forms.Form):
    """What `DeleteRecordsForm` came to, shown and to be confirmed: partition to offset."""

    targets = forms.JSONField(widget=forms.HiddenInput)
    reason = forms.CharField(widget=forms.HiddenInput)

    def clean_targets(self) -> dict[int, int]:
        given = self.cleaned_data["targets"]
        try:
            return {int(number): int(offset) for number, offset in given.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise forms.ValidationError("These are no offsets of partitions.") from error


class DeleteTopicForm(forms.Form):
    """Its name, typed."""

    name = forms.CharField(label="Name of the topic", widget=forms.TextInput(attrs={"autocomplete": "off"}))
    reason = _ask_reason()

    def __init__(self, *args: Any, topic: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.topic = topic
        self.fields["name"].help_text = f"Type {topic} to delete it."

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self.topic:
            raise forms.ValidationError(f"This topic is {self.topic}, not {name}.")
        return name
