"""The app the tests have their models in."""
