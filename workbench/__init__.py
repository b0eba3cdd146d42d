"""The core of the application, free of any user interface and of any model library."""
