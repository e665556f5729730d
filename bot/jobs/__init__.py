"""Queue jobs, store them and hand them to workers, knowing neither Discord nor torch."""
