"""The tap panel: a page on which a newcomer holds a card to a gate or a line and watches what happens.

It exists in a demo only. It moves no money and decides nothing: it sends lines to the boards, as a reader
would, and reads back what the cloud tells the demo. It may be opened on this machine only, by whoever has
its address.
"""
