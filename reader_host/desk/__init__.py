"""The issuing desk: cards are looked at, given out and taken back here.

Promises: knows cards by what they prove, and people only by what the cloud told
it for this.  Leaves the talk with a card to protocols/card and the reader to pcsc.
"""
