"""utils: seeds, one-hot labels, progress bars."""

from .categorical import to_categorical as to_categorical
from .progbar import Progbar as Progbar
from .py_dataset import PyDataset as PyDataset
from .random_seed import set_random_seed as set_random_seed
from .session import clear_session as clear_session
