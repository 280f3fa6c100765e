"""Who comes in, and by what: the mailbox of the demo, and a page for one's API tokens.

The pages on which codes are entered and devices are listed are the toolkit's own, in our templates.
"""
