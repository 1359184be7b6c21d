"""The durable log of decisions and outcomes: embedded by default, PostgreSQL by URL. Imports choices and errors."""
