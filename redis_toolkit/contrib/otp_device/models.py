"""``RedisDevice``: django-otp's e-mail device, with the code in Redis: hashed, counted, consumed at once."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db import models
from django.utils.translation import gettext
from django_otp.models import Device

from redis_toolkit.otp import OneTimeCode
from redis_toolkit.otp.sending import begin, send_or_cancel
from redis_toolkit.otp.subjects import one_destination

__all__ = ["RedisDevice", "device_code"]

device_code = OneTimeCode("otp-device")


class RedisDevice(Device):
    """Sends a code to ``destination``, or to its user's address; ``OneTimeCode("otp-device")`` says how often.

    ``challenge`` is all that the database knows of the code. Two copies of a row cannot both accept it, with or without
    a transaction. While Redis is away both methods raise StoreUnavailable. django-otp does not say who asks: who has
    the password, and gets ten codes wrong, locks the device for a quarter of an hour (``device_code.forgive``).
    """

    #: Empty: the user's address.
    destination = models.CharField(max_length=254, blank=True)
    challenge = models.CharField(max_length=64, blank=True, editable=False)

    class Meta(Device.Meta):
        abstract = False
        db_table = "redis_toolkit_otp_device"
        verbose_name = "e-mail device"

    def generate_challenge(self, extra_context: Any = None) -> str:  # noqa: ARG002 - django-otp's signature
        """Send a code, and say so to the user. Raises CodeRefused, DeliveryFailed, ValueError, StoreUnavailable."""
        issued = begin(
            device_code, str(self.persistent_id), destination=self._to,
            challenge=self.challenge or None,
        )  # fmt: skip
        if issued.challenge != self.challenge:
            self.challenge = issued.challenge
            self.save(update_fields=["challenge"])
        send_or_cancel(device_code, issued)
        return gettext("sent by e-mail")

    def verify_token(self, token: str) -> bool:
        """Whether ``token`` is the code; it is good once, and dead if the next would go elsewhere. Raises as above."""
        tried = device_code.verify(self.challenge, str(token))
        if not tried or not getattr(self.user, "is_active", True):
            return False
        try:
            return tried.destination == one_destination(self._to)
        except ValueError:
            return False

    @property
    def _to(self) -> str:
        return self.destination or str(getattr(self.user, get_user_model().get_email_field_name()) or "")
