"""What a user asks for: the parts of a query, how they are written, and what they mean."""
