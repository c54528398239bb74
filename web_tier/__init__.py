"""The door: photos in, names out."""
