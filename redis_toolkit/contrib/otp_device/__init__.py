"""A device for django-otp whose codes are in Redis: ``"redis_toolkit.contrib.otp_device"`` in INSTALLED_APPS."""
