"""What one says of a token to be made, and of one to be replaced."""

from __future__ import annotations

from django import forms

__all__ = ["OVERLAPS", "RotateForm", "TokenForm"]

HOUR = 3600
DAY = 24 * HOUR
OVERLAPS = {0: "ends at once", HOUR: "works for an hour more", DAY: "works for a day more"}
#: Those of `REDIS_TOOLKIT_TOKEN_SCOPES`, in words.
SCOPES = {
    "timetable:read": "Read groups, rooms and lessons",
    "timetable:search": "Search",
}


class TokenForm(forms.Form):
    """A name to know it by, what it may do, and for how long (seconds)."""

    name = forms.CharField(
        max_length=100,
        help_text="By which you will know it: the program or the machine that uses it.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
    )
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=list(SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
        required=False,
        initial=["timetable:read"],
    )
    ttl = forms.TypedChoiceField(
        label="For",
        coerce=int,
        choices=[(HOUR, "an hour"), (30 * DAY, "30 days"), (90 * DAY, "90 days")],
        initial=30 * DAY,
    )


class RotateForm(forms.Form):
    """For how long (seconds) the old one goes on."""

    overlap = forms.TypedChoiceField(
        label="The old token",
        coerce=int,
        choices=list(OVERLAPS.items()),
        initial=HOUR,
    )
