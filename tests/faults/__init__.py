"""What dies, when, in which half and delivery: the matrix, the application whose workers are killed, and its tests."""
