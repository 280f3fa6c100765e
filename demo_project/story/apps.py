from __future__ import annotations

from django.apps import AppConfig


class StoryConfig(AppConfig):
    name = "demo_project.story"
    verbose_name = "Story"
