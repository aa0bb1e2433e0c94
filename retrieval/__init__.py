"""leanclip: make CLIP small, search photos with it, put it on a phone."""
