"""`/mcp`: edits as tools of the Model Context Protocol, for agents. Off unless `MCP` is set."""
