"""The console: pages that show what the service does, what it has learned and why. Imports its own room and serve."""
