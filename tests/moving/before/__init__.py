"""The app as it was a version ago, for a process that has not been replaced yet."""
