"""Safelight: a self-hosted, end-to-end encrypted home for camera rolls, shared albums and proofing links."""

__version__ = "0.1.0"
