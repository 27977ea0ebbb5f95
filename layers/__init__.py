"""ASGI layers that stand before every route, and the errors that they refuse a request with."""
