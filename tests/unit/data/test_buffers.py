import threading

import numpy as np

from srtrain.data.buffers import Buffers


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_once_nobody_holds_it():
    buffers = Buffers(n_kept=4)
    array = buffers.take((2, 3))
    place = address(array)
    assert array.shape == (2, 3)
    assert array.dtype == np.uint8
    del array
    assert address(buffers.take((2, 3))) == place


def test_what_is_held_is_left_alone():
    buffers = Buffers(n_kept=8)
    whole = buffers.take((2, 3))
    viewed = buffers.take((2, 3))[1:]
    wrapped = memoryview(buffers.take((2, 3)))
    places = [address(whole), address(viewed.base), address(np.asarray(wrapped))]
    later = [buffers.take((2, 3)) for _ in range(5)]
    assert len({*places, *map(address, later)}) == 8


def test_no_more_is_kept_than_said():
    buffers = Buffers(n_kept=2)
    arrays = [buffers.take((4,)) for _ in range(5)]
    kept = {address(array) for array in arrays[:2]}
    del arrays
    assert {address(array) for array in (buffers.take((4,)), buffers.take((9,)))} & kept


def test_threads_never_share_an_array():
    buffers = Buffers(n_kept=8)
    errors = []

    def work(value):
        for _ in range(500):
            array = buffers.take((64,))
            array[...] = value
            if (array != value).any():
                errors.append(value)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
