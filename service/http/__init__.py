"""What all routes share: access, errors, bodies, limits, links and the OpenAPI document."""
