"""A process beside the relay that recognises one object at a time, for a relay that does so by itself."""
