"""`tinyunet explain`: an operation from its formula to its code, its cost and its numbers."""
