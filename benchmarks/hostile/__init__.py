"""How long a request that is made to do harm holds the API."""
