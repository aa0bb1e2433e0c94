"""What bundles, checkpoints, preprocessing and errors are: frozen, validated, dependency-free."""
