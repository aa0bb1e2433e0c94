"""Small pictures in a terminal, by whichever way the terminal knows."""
