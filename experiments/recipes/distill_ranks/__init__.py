"""Every loss of a teacher, two pairs of nets: ranks, and what can be told apart."""
