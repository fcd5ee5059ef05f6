"""Between client and services: who calls what, whether it is allowed, what goes wrong, and a record of it."""
