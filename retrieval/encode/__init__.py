"""Back ends that turn photos and sentences into embeddings."""
