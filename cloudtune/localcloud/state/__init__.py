"""The state of a local cloud in a folder, so that it can be taken down and brought up again."""
