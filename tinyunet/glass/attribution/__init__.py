"""What in an image made a network decide: three kinds of maps, and two checks of such maps."""
