"""Requests and responses: one set of Structs is the wire protocol, its validation and its OpenAPI document."""
