"""Stand-in for the book's ``d2l`` package: the few names its tuning chapters use, on a real small problem."""
