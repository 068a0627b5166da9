"""The `safelight` command: what a person, or a script, does with an account, a camera, albums and links."""
