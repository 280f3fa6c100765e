"""Visitors who come by themselves, so that the demo's figures tell something: `python -m demo_project.visitors`.

They are polite (three requests a second at most, all of them together), come over HTTP like everybody, and each from a
loopback address of their own, 127.0.0.2 and on. What counts by address counts them there, so they use up nothing of
whoever looks at the demo from 127.0.0.1; and the site need not trust a header for it, which anybody could send.
"""
