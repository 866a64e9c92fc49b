"""The computation graph of a tensor or a network as a picture, and as a page whose modules unfold."""
