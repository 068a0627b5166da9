"""The server: takes sealed photographs in, keeps them, and can read none of them."""
