"""HTTP: parse, call the domain, print; one file a resource."""
