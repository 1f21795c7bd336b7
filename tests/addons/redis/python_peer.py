#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A user of Python's sherlock, as far as a Redis server can see: the same keys, values and steps, through redis-py. Does what stdin says, a word a line.

  python_peer.py SOCKET NAMESPACE NAME EXPIRE
"""
import sys
import uuid

import redis

TAKE = "if redis.call('SETNX', KEYS[1], ARGV[1]) == 0 then return 0 end redis.call('EXPIRE', KEYS[1], ARGV[2]) return 1"
GIVE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
KEEP = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('EXPIRE', KEYS[1], ARGV[2])"


def main():
    socket, namespace, name, expire = sys.argv[1:]
    client = redis.StrictRedis(unix_socket_path=socket)
    take, give, keep = (client.register_script(text) for text in (TAKE, GIVE, KEEP))
    key = f'{namespace}_{name}' if namespace else name
    owner = None
    for line in sys.stdin:
        word = line.strip()
        if word == 'acquire':
            tried = str(uuid.uuid4())
            said = take(keys=[key], args=[tried, expire]) == 1
            owner = tried if said else owner
        elif word == 'release':
            said = give(keys=[key], args=[owner or '']) == 1
        elif word == 'renew':
            said = keep(keys=[key], args=[owner or '', expire]) == 1
        elif word == 'locked':
            said = client.get(key) is not None
        else:
            sys.exit(f'python_peer: {word}?')
        print('yes' if said else 'no', flush=True)


if __name__ == '__main__':
    main()
