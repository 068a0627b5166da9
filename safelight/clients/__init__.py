"""Clients: the engine that all of them share, the camera, and the command line."""
