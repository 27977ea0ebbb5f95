"""Identity: tokens (JWT) of an identity provider, beside the keys of `service.api_keys`."""
