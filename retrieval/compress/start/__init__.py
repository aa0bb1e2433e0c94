"""What a student starts from where it does not start from random weights."""
