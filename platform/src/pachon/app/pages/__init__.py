"""Pages for people: the front page, and the list of the Web APIs' addresses."""
