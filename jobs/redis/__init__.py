"""Jobs in Redis: records, queues, leases and streams, and the Lua that changes them in one turn."""
