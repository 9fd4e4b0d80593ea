"""Objects of an event, all made of the same candidates."""
