"""Schedulers and searchers: what to run next. Nothing here does input or output."""
