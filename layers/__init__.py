"""ASGI layers that stand before every route, and the errors that they refuse a request with.

A layer that only hands on gives back what it hands on to, and has no frame of its own: ten of them would take as long
as a route does.
"""
