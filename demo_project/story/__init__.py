"""The first page: the patterns at work here, each with its figures of the last hour and the code behind it."""
