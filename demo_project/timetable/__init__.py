"""The timetable: who teaches what to whom, where and when."""
