"""Reading the calendar: whose, which week, and in which form."""
