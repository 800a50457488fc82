"""Stand-ins that speak the real protocol over real sockets, for tests that need speed or faults."""
