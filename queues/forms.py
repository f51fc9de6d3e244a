"""What a person fills in to look for messages, to alter a queue, and to redrive its dead letters."""

from typing import Any

from django import forms

from mqsite.errors import Invalid
from queues.models import Queue
from queues.pictures import REASONS
from queues.services.deadletters import MOST_RATE
from queues.settings import SETTINGS

MAX_TEXT_CHARACTERS = 200
MAX_REASON_CHARACTERS = 1_000
MOST_CHOSEN = 1_000  # messages that a page takes to another, in its address
MOST_TARGETS = 200
STATES = ("ready", "waiting", "scheduled", "leased", "dead")
NUMBERED = (int, float)


def _ask_text(label: str, **more: Any) -> forms.CharField:
    return forms.CharField(required=False, max_length=MAX_TEXT_CHARACTERS, label=label, **more)


class WhyForm(forms.Form):
    """Why somebody does it."""

    reason = forms.CharField(
        max_length=MAX_REASON_CHARACTERS, error_messages={"required": "Say why. It is kept in the audit."}
    )

    def complaints(self) -> list[str]:
        return [str(error) for errors in self.errors.values() for error in errors]


class NamedDeletionForm(WhyForm):
    """Deletes what is named once more by hand."""

    name = forms.CharField(error_messages={"required": "Type the name of the queue."})

    def __init__(self, *args: Any, subject: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.subject = subject

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self.subject:
            raise forms.ValidationError(f"That is not its name: type {self.subject} to delete it.")
        return name


class QueuesForm(forms.Form):
    """Which queues to list. `after` is the name the page before ended with."""

    q = _ask_text("Name or owner")
    after = forms.CharField(required=False, max_length=249)


class SearchForm(forms.Form):
    """Which messages to list. `after` is the mark the page before ended with: two numbers."""

    state = forms.ChoiceField(required=False, choices=[(state, state) for state in STATES])
    text = _ask_text("Text")
    key = _ask_text("Group key")
    path = _ask_text("JSON path")
    after = forms.RegexField(r"^-?\d{1,5},-?\d{1,18}\Z", required=False)

    @property
    def mark(self) -> tuple[int, int] | None:
        if not self.cleaned_data["after"]:
            return None
        priority, _, position = self.cleaned_data["after"].partition(",")
        return int(priority), int(position)


class ChosenForm(forms.Form):
    """Chosen messages, each as `id`."""

    id = forms.TypedMultipleChoiceField(required=False, coerce=int, empty_value=[])

    def __init__(self, data: Any, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        given = data.getlist("id") if data is not None else []
        numbers = [number for number in dict.fromkeys(given) if number.isascii() and number.isdecimal()]
        self.fields["id"].choices = [(n, n) for n in numbers if len(n) < 19][:MOST_CHOSEN]  # type: ignore[attr-defined]
        self.fields["id"].error_messages["invalid_choice"] = (
            f"%(value)s is no message, or more than {MOST_CHOSEN:,} are chosen."
        )


def _ask_time(label: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M:%S", attrs={"type": "datetime-local", "step": "1"})
    return forms.DateTimeField(required=False, label=label, widget=widget, help_text="UTC")


class RedriveForm(ChosenForm):
    """Which dead letters, where to and how fast. Read from the address, so that a link shows the same preview."""

    chosen = forms.BooleanField(required=False)  # then some are: none ticked does not mean all
    only_reason = forms.ChoiceField(
        required=False, label="Reason", choices=[("", "any"), *((code, say) for code, say in REASONS.items())]
    )
    only_text = _ask_text("Text in error, headers or payload")
    died_after = _ask_time("Died at or after")
    died_before = _ask_time("Died before")
    to = forms.ChoiceField(required=False, label="To")
    rate = forms.FloatField(
        required=False,
        min_value=0.01,
        max_value=MOST_RATE,
        label="At most a second",
        help_text="empty: as fast as it goes",
        widget=forms.NumberInput(attrs={"class": "mono w90", "step": "any"}),
    )

    def __init__(self, data: Any, *, queue: Queue, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        others = Queue.objects.filter(owner_id=queue.owner_id).exclude(id=queue.id).order_by("name")
        names = list(others.values_list("name", flat=True)[:MOST_TARGETS])
        self.fields["to"].choices = [("", "the queue each died in"), *((n, n) for n in names)]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("chosen") and not given.get("id"):
            self.add_error("id", "No letter is chosen.")
        return given

    def asks(self) -> list[forms.BoundField]:
        """The fields that make the filter."""
        return [self[name] for name in ("only_reason", "only_text", "died_after", "died_before")]

    @property
    def filter(self) -> dict[str, Any]:
        """As `listings.count_fitting` and `services.start_redrive` take it."""
        given = self.cleaned_data
        return {
            "ids": list(given["id"]) or None,
            **{name: given[name] or None for name in ("only_reason", "only_text", "died_after", "died_before")},
        }

    def complaints(self) -> list[str]:
        told = [(self.fields[name].label, error) for name, errors in self.errors.items() for error in errors]
        return [f"{label}: {error}" if label else str(error) for label, error in told]


class QueueForm(forms.ModelForm):
    """A queue's description and settings, except for the order, which never changes.

    The page remembers what it showed, so that only what was changed on it is altered: two who alter a queue at once
    do not undo each other.
    """

    reason = forms.CharField(widget=forms.TextInput(attrs={"size": 60}), help_text="Kept in the audit.")

    class Meta:
        model = Queue
        fields = ["description", *(name for name in SETTINGS if name != "is_ordered")]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, setting in SETTINGS.items():
            field = self.fields.get(name)
            if field is None:
                continue
            default = "none" if setting.default is None else f"{setting.default:g}" if setting.kind in NUMBERED else ""
            allowed = f" {setting.least:,} to {setting.most:,}." if setting.kind in NUMBERED else ""
            field.label = name
            field.help_text = f"{setting.description}{allowed}" + (f" Default: {default}." if default else "")
            field.required = False
        for name, field in self.fields.items():
            field.show_hidden_initial = name != "reason"
        if "description" in self.fields:
            self.fields["description"].widget.attrs["rows"] = 2
        letters: Any = self.fields.get("dead_letter_queue")
        if letters is not None:
            owned = Queue.objects.filter(owner=self.instance.owner_id, is_ordered=False, dead_letter_queue=None)
            letters.queryset = owned.exclude(pk=self.instance.pk)
            letters.empty_label = "none: dead letters stay"
            # Of the admin's wrapper: this page alters one queue.
            letters.widget.can_change_related = letters.widget.can_view_related = False

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for name in self.changed_data:
            if name in SETTINGS and name in given:
                try:
                    SETTINGS[name].parse(self.instance.name, self._read(name))
                except Invalid as error:
                    self.add_error(name, str(error))
        if not self.errors and not self.changes:
            self.add_error(None, "Nothing is changed.")
        return given

    @property
    def changes(self) -> dict[str, Any]:
        """As `services.alter_queue` takes them; an empty number asks for the default."""
        return {name: self._read(name) for name in self.changed_data if name != "reason"}

    def _read(self, name: str) -> Any:
        value = self.cleaned_data[name]
        if name == "dead_letter_queue":
            return value and value.name
        if value is None and name in SETTINGS and not SETTINGS[name].optional:
            return SETTINGS[name].default
        return value
