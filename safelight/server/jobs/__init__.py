"""What the server does by itself, now and then."""
