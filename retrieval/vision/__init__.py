"""From a photo file to the pixels that an image tower takes."""
