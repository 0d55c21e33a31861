"""What brings a database to the state sql/ describes: the loader, the migrations, the comparison of the two."""
