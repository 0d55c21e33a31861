"""What tests share: a server and its template database, roles, sample users, REST, guards and permission tables."""
