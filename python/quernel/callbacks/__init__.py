"""callbacks: objects whose hooks fit, evaluate and predict call."""

from .callback import Callback as Callback
from .callback_list import CallbackList as CallbackList
from .early_stopping import EarlyStopping as EarlyStopping
from .history import History as History
from .progbar_logger import ProgbarLogger as ProgbarLogger
