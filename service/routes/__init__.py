"""One module per resource: parse, call a use case of `service.submit`, answer."""
