"""Stylesheets and pictures of the application; no code of the application itself."""
