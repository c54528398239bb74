"""Every speed claim, as a command that measures both sides in one run: `python -m bench.NAME [--json]`."""
