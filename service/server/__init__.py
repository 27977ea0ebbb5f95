"""How an API process holds its connections: deadlines, a number of them, and refusals in the service's own form."""
