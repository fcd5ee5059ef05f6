"""The report of a study: one HTML page that holds all it shows, reads nothing from a network, and sends nothing."""
