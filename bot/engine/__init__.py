"""Which job runs next, and where: admission, fair queue, scheduler."""
