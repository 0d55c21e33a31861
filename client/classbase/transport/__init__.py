"""How a call travels: over REST with a key, or over psycopg as a role with claims. One API, two transports."""
