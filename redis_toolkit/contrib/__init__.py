"""What needs a package, or a version of Django, that not everybody has: each module is imported where it is named."""
