"""Sealing: the only code that can decrypt. Nothing under `safelight.server` may import it (docs/spec/keys.md)."""
