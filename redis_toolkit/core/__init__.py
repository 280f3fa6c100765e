"""The floor: talking to Redis safely. Rooms build on it; it knows no room.

``connections`` runs commands and translates errors, ``keys`` makes and reads every key, ``codecs`` turns typed values
into bytes, ``scripts`` runs Lua by name, ``breaker`` keeps a dead server from costing time-outs, ``clock`` is the time.
"""
