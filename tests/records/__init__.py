"""What the course says, as text that a person can read in a diff, and how it is compared."""
