"""The checks of the exercises, one file per topic. A lesson calls them with what the learner wrote."""
