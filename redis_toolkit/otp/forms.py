"""The forms: an address, and a code."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from redis_toolkit.otp.codes import OneTimeCode
from redis_toolkit.otp.subjects import one_destination

__all__ = ["AddressForm", "CodeForm"]


class AddressForm(forms.Form):
    """Where to send a code: exactly one e-mail address. It does not look for a user."""

    email = forms.EmailField(
        label=_("E-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
    )

    def clean_email(self) -> str:
        """The address, normalised."""
        try:
            return one_destination(self.cleaned_data["email"])
        except ValueError:
            raise forms.ValidationError(_("Enter a valid email address."), code="invalid") from None


class _CodeInput(forms.TextInput):
    """Empty when it is shown again: a wrong code is of no more use, and whatever was sent is not sent back."""

    def format_value(self, value: Any) -> str | None:  # noqa: ARG002 - Django's signature
        return None


class CodeForm(forms.Form):
    """The code, as it was typed: spaces and dashes do not matter."""

    code = forms.CharField(
        label=_("Code"),
        max_length=64,
        widget=_CodeInput(
            attrs={
                "autocomplete": "one-time-code",
                "autofocus": True,
                "autocapitalize": "characters",
                "spellcheck": "false",
                "size": 12,
            }
        ),
    )

    @classmethod
    def saying(cls, text: str, purpose: OneTimeCode | None = None) -> CodeForm:
        """An empty form, with ``text`` above it."""
        form = cls({}, purpose=purpose)
        form.errors.clear()
        form.add_error(None, text)
        return form

    def __init__(self, *args: Any, purpose: OneTimeCode | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_numeric = purpose is None or purpose.alphabet.isdecimal()
        self.fields["code"].widget.attrs["inputmode"] = "numeric" if is_numeric else "text"
