"""The oracle of the conformance cases: where the certified numbers come from. It shares no code with npscore.

Read in this order, a sitting for all of it:

- ``numbers``     route 1: scalars that know their size, dual numbers, and a tape: forward over reverse
- ``functions``   the activations and their derivatives, from their definitions in `decimal`
- ``networks``    route 1 for the objectives on a multilayer perceptron
- ``differences`` route 2 for the same: no differentiation rule, only 130-digit central differences
- ``integrals``   inverses, determinants and integrals, two ways
- ``densities``   log densities written once, by both routes; normalisers by algebra and by quadrature
- ``populations`` expectations of linear scores, and the constant of the theorem
- ``chains``      sampler steps, and the exact law of Langevin on a Gaussian
- ``certify``     two routes become published numbers where they agree to 50 digits
- ``draws``       the inputs: a fixed integer generator
- ``cases_*``     which cases there are, a family each
- ``generate``    writes the files: ``python tests/oracle/generate.py [ism …] [--check]``

Only the standard library is used.
"""
