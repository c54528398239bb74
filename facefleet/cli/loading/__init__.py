"""What `facefleet load` is made of: what to send, by which entrance, how fast, and what came of it."""
