"""What a student learns from: teachers, their caches, and the student's own earlier states."""
