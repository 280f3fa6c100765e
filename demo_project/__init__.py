"""A real week at a real university, served from cached managers.

A project to copy from: an ordinary Django site (`timetable` is the app) whose pages read through `Model.cached` and
whose admin knows nothing of it.
"""
