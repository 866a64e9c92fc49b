"""Which inputs and weights made an element of a result, asked of the operations themselves."""
