"""Finding the shape of a student that is best within a number of milliseconds."""
