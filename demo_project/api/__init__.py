"""The timetable as JSON, to be read by programs: at /api/."""
