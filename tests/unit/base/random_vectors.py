#!/usr/bin/env python3
"""Prints the vectors of test_random.c: xoshiro256++ and splitmix64 from their papers, in Python's unbounded integers.
A seed goes through splitmix64 once; the stream number times 0xd1342543de82ef95 is mixed in; four more draws of
splitmix64 make the state."""
BITS = 2**64 - 1


def splitmix(state):
    state[0] = (state[0] + 0x9E3779B97F4A7C15) & BITS
    z = state[0]
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & BITS
    return z ^ (z >> 31)


def rotate(x, n):
    return ((x << n) | (x >> (64 - n))) & BITS


def draw(s):
    result = (rotate((s[0] + s[3]) & BITS, 23) + s[0]) & BITS
    t = (s[1] << 17) & BITS
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotate(s[3], 45)
    return result


def seeded(seed, stream):
    state = [splitmix([seed]) ^ ((stream * 0xD1342543DE82EF95) & BITS)]
    return [splitmix(state) for _ in range(4)]


plain = [1, 2, 3, 4]
print("state 1 2 3 4:", [draw(plain) for _ in range(10)])
for seed, stream in ((0, 0), (42, 0), (42, 1), (BITS, BITS)):
    state = seeded(seed, stream)
    print(seed, stream, [hex(draw(state)) for _ in range(4)])
