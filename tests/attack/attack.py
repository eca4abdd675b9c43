#!/usr/bin/env python3
"""Lines 1 to 24 of the checklist of attacks, each over real packets against a whole gateway: attack.py [N ...]

For each: the attack, what the RFCs say that comes back, a canary that loses nothing, memory that comes back, a counter
that names it. ATTACK=long for the full forms. One function per line, by theme: floods.py, segments.py, ...
"""
import sys

from scene import Scene, harness
import floods  # noqa: F401  pylint: disable=unused-import
import segments  # noqa: F401  pylint: disable=unused-import
import datagrams  # noqa: F401  pylint: disable=unused-import


def main():
    harness.CASES.sort(key=lambda function: function.number)
    # By name: harness.main() begins anew with the same arguments in a mount namespace of its own.
    names = {str(function.number): function.__name__ for function in harness.CASES}
    sys.argv[1:] = [names.get(word, word) for word in sys.argv[1:]]
    harness.main(Scene)


main()
