#!/usr/bin/env python3
"""Lines 1 to 24 of the checklist of attacks, each over real packets against a whole gateway: attack.py [N ...]

For each: the attack, what the RFCs say that comes back, a canary that loses nothing, memory that comes back, a counter
that names it. ATTACK=long for the full forms. One function per line, by theme: floods.py (1, 2, 7), segments.py (3 to 6, 8
to 13), datagrams.py (16 to 20), links.py (14, 21 to 23). Lines 15 and 24 have programs of their own, which are run when
they are asked for by number.
"""
import os
import subprocess
import sys

from scene import ROOT, Scene, harness
import floods  # noqa: F401  pylint: disable=unused-import
import segments  # noqa: F401  pylint: disable=unused-import
import datagrams  # noqa: F401  pylint: disable=unused-import
import links  # noqa: F401  pylint: disable=unused-import

ELSEWHERE = {"15": "tests/e2e/pmtu.py", "24": "tests/peer/peer.py"}


def main():
    for number in [word for word in sys.argv[1:] if word in ELSEWHERE]:
        sys.argv.remove(number)
        code = subprocess.run([os.path.join(ROOT, ELSEWHERE[number])], check=False).returncode
        if code or len(sys.argv) == 1:
            sys.exit(code)
    harness.CASES.sort(key=lambda function: function.number)
    # By name: harness.main() begins anew with the same arguments in a mount namespace of its own.
    names = {str(function.number): function.__name__ for function in harness.CASES}
    sys.argv[1:] = [names.get(word, word) for word in sys.argv[1:]]
    harness.main(Scene)


main()
