"""The camera: finds new files, develops, seals and sends them, and can read nothing back."""
