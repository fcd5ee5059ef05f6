"""The process that serves a local cloud on 127.0.0.1."""
