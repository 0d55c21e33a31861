"""classbase: the backend of organisations that run classes."""
