"""The checks of the exercises: each with a right answer, none, and three mistakes people make."""
