"""A classroom's files: who is in it, what they study, their encodings, and who is on which clip."""
