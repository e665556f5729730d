"""The machine: devices, memory limits, the allocator and the garbage collector."""
