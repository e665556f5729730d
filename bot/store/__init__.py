"""Jobs that survive a restart: the database and its writer."""
