"""What a school sells, when and for how much.

Promises: at each minute of a day at most one meal is on sale.  Leaves the sale
to the devices and its money to cloud/accounting.
"""
