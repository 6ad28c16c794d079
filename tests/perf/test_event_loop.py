"""How long anything holds the event loop."""
