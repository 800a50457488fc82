"""Everything that only routes need: the typed state, the dependencies, the HTTP protocol. No service imports it."""
