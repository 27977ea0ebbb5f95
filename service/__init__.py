"""The HTTP API. Imports neither torch nor the worker: it validates, records, enqueues and signs."""
