"""What the page may ask of the server, one file for each kind of thing."""
