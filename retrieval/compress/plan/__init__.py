"""What a recipe will cost, from a profile of a few real steps on this machine."""
