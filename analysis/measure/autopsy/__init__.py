"""Why forests and boosting failed on codes, and why stronger L2 made a perceptron worse: numbers
and verdicts from an autopsy."""
