"""How often: exact, in one round trip, safe behind proxies, alive when Redis is not."""
