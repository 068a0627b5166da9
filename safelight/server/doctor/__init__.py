"""`safelight-server doctor`: looks at everything a server stands on, changes nothing, and says what to do."""
