"""The loop: turns, faults that are shown once, and a watchdog that is fed by the living only."""

from firmware.app.supervisor import Supervisor
from protocols.errors import FLASH_WRITE, Fault
from tests.firmware.parts import Dog, RigPanel


class Task:
    def __init__(self, wait=500):
        self.wait = wait
        self.turns = 0
        self.fault = None

    def step(self):
        self.turns += 1
        if self.fault is not None:
            raise self.fault
        return self.wait


def test_shortest_wait_is_the_boards():
    dog = Dog()
    tasks = (Task(700), Task(30), Task(5000))
    assert Supervisor(tasks, dog, RigPanel()).step() == 30
    assert [task.turns for task in tasks] == [1, 1, 1]
    assert dog.feeds == 1


def test_fault_of_one_task_is_shown_once():
    panel = RigPanel()
    dog = Dog()
    sick, well = Task(), Task()
    loop = Supervisor((sick, well), dog, panel)
    sick.fault = Fault(FLASH_WRITE, "sector 1")
    for _ in range(5):
        assert loop.step() <= 200
    assert (panel.faults, well.turns, dog.feeds) == ([FLASH_WRITE], 5, 5)
    sick.fault = None
    loop.step()
    sick.fault = Fault(FLASH_WRITE, "sector 1")
    loop.step()
    assert panel.faults == [FLASH_WRITE, FLASH_WRITE]


def test_heap_may_be_collected_after_each_round():
    class Rests:
        count = 0

        def rest(self):
            self.count += 1
            assert task.turns == self.count

    task = Task()
    loop = Supervisor((task,), Dog(), RigPanel())
    rests = loop._heap = Rests()
    for _ in range(3):
        loop.step()
    assert rests.count == 3


def test_dying_task_starves_the_watchdog():
    dog = Dog()
    task = Task()
    task.fault = MemoryError()
    loop = Supervisor((task,), dog, RigPanel())
    try:
        loop.step()
    except MemoryError:
        pass
    assert dog.feeds == 0
