"""The rules of the server. Neither HTTP nor SQL stands here: `ports` names what is needed from outside."""
