"""One's own limits: what is left, live, and what a 429 looks like."""
