"""One module for each format that a tower can be converted to."""
