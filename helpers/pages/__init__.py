"""What the servers share: a web page in a process of its own, and what such a process does."""
