"""The app."""

from __future__ import annotations

from django.apps import AppConfig


class OtpDeviceConfig(AppConfig):
    """``"redis_toolkit.contrib.otp_device"`` in ``INSTALLED_APPS``, after ``"django_otp"``."""

    name = "redis_toolkit.contrib.otp_device"
    label = "redis_toolkit_otp_device"
    verbose_name = "One-time codes by e-mail (Redis)"
    default_auto_field = "django.db.models.BigAutoField"
