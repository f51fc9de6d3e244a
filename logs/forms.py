"""What a person fills in."""

from typing import Any

from django import forms


class ResetForm(forms.Form):
    """Where to move a group's offsets, and why."""

    to = forms.ChoiceField(
        label="Move to",
        choices=[("earliest", "the log start: read everything again"), ("latest", "the log end"), ("offset", "offset")],
    )
    offset = forms.IntegerField(min_value=0, required=False, help_text="The next offset to read.")
    reason = forms.CharField(widget=forms.TextInput(attrs={"size": 60}), help_text="Kept in the audit.")

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
