"""Meals that a budget pays: who is entitled to what, and who pays for a meal in the end.

Promises: at most one meal of a pupil, day and meal is charged to a fund.
Leaves to the tills whether to serve, to cloud/devices where rights are placed.
"""
