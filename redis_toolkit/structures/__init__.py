"""Small things in Redis that are useful alone. They know no models and no room of the toolkit."""
