"""The split into training and held-out: by a hash of the question alone, so that it never depends on a seed.

A question is held out in every decoration and conversation or in none. The first wording of a fact is never held out:
what is asked in the test was taught, in other words.
"""

import hashlib

SHARE_PER_THOUSAND = 60


def is_held_out(key, share=SHARE_PER_THOUSAND):
    """True when the question of this key (a string that holds the language) belongs to the test."""
    digest = hashlib.sha256(("fledgling 1|" + key).encode("utf-8")).digest()
    return int.from_bytes(digest[:4], "big") % 1000 < share
