"""LiteRT (TensorFlow Lite), for Android and other small devices."""
