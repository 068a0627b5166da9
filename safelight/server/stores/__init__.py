"""Where the server keeps things: databases and blob stores behind the two ports of the domain."""
