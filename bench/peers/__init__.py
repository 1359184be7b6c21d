"""One script per peer; each runs in a process of its own in the peers' environment and prints one line of JSON."""
