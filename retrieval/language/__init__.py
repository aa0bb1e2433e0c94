"""From a sentence to token ids."""
