"""What the classic papers claim for their parts, one factor changed at a time."""
