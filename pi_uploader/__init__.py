"""The Raspberry Pi client: press the button, see who it is. Stands alone, and copies to a Pi as one folder."""
