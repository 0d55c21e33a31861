"""Writes the typed client from the database's catalogue (`make client`). Not part of the wheel."""
