"""What a person fills in."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms

from logs.configs import CONFIGS, Config
from logs.keeping import say_config
from logs.models import ConsumerGroup, Topic
from logs.policies import ALLOWED, parse_start_policy
from mqsite.errors import Invalid


def _ask_reason() -> forms.CharField:
    return forms.CharField(widget=forms.TextInput(attrs={"size": 60}), help_text="Kept in the audit.")


def _say_default(config: Config) -> str:
    """`604800000 (7 days)`"""
    words = say_config(config.name, config.default)
    return words if config.least is None or words == str(config.default) else f"{config.default} ({words})"


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


class NamedDeletionForm(forms.Form):
    """Of what is to be deleted the name, typed. `kind`: "topic" or "group"."""

    name = forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off"}))
    reason = _ask_reason()

    def __init__(self, *args: Any, kind: str, subject: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind, self.subject = kind, subject
        self.fields["name"].label = f"Name of the {kind}"
        self.fields["name"].help_text = f"Type {subject} to delete it."

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self.subject:
            raise forms.ValidationError(f"This {self.kind} is {self.subject}, not {name}.")
        return name


class DeleteOffsetsForm(forms.Form):
    """Of which topic a group shall forget its offsets."""

    topic = forms.ChoiceField()
    reason = _ask_reason()

    def __init__(self, *args: Any, topics: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["topic"].choices = [(topic, topic) for topic in topics]  # type: ignore[attr-defined]


class GroupForm(forms.ModelForm):
    """Where a group reads without a valid committed offset."""

    reason = _ask_reason()

    class Meta:
        model = ConsumerGroup
        fields = ["auto_offset_reset"]
        help_texts = {"auto_offset_reset": f"Where it reads without a valid committed offset: {ALLOWED}."}

    def clean_auto_offset_reset(self) -> str:
        policy: str = self.cleaned_data["auto_offset_reset"]
        try:
            parse_start_policy(policy)
        except Invalid as error:
            raise forms.ValidationError(str(error)) from error
        return policy
