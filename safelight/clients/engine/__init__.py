"""The engine: everything a client does, without a screen. Command line, camera and gateway build on it."""
