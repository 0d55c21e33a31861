"""Reading timetables from files; what they mean is decided by the database."""
