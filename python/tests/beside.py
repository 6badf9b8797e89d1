"""A module beside the operators, which their components get as a whole."""

LOWEST = -273.15
