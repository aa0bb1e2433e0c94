"""What models learn from and are measured on: photos, sentences, captioned photos."""
