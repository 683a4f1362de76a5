"""The passes of a network, forward and backward, and of its Jacobian's trace: chapters 4 and 5 as code."""
