"""Captioned scenes: pictures with true sentences, as many as a demo or a test likes."""

from retrieval.compress.scenes.grammar import captions
from retrieval.compress.scenes.scene import Scene, draw_scene
from retrieval.compress.scenes.write import draw_scenes, write_scenes

__all__ = ["Scene", "captions", "draw_scene", "draw_scenes", "write_scenes"]
