"""The parts that all faces of OpenAI's API have: rules of a body, bounds, Braid's own object, and how it is sent."""
