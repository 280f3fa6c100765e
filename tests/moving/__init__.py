"""An app whose tables change while they are cached; its migrations lead there step by step."""
