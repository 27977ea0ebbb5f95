"""The version of the library, the service and both clients. All are released together.

The package, the description of the API, the images and what requests say of their sender take it from here;
`tests/contract/test_version.py` holds the files that cannot. A release: this line, then a heading in CHANGELOG.md.
"""

VERSION = "0.1.0"
#: How requests of the service and of the Python client say who sends them (RFC 9110, 10.1.5).
USER_AGENT = f"p2p-edit-service/{VERSION}"
CLIENT_USER_AGENT = f"p2p-client/{VERSION}"
