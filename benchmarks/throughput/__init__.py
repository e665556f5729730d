"""Compare hubcord with the serving engines, and with the best that can be done offline, on the same model."""
