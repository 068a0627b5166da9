"""What the domain needs from outside, a database and a place for blobs. Implementations pass tests/conformance."""
