"""What both ends must agree on: pure functions and Structs, no I/O and no clock (docs/spec/)."""
