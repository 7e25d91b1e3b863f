"""All trainable parameters of a model as one vector, so that the optimiser, the clipping, the average and the exchange
between processes are each one operation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wavenet.checkpoint.state import Arrays
from wavenet.model.network import WaveNet


class ParameterVector:
    """The parameters of ``model`` laid out in one float32 vector of N numbers, in the order of their names.

    The model's parameters become views of ``values``: a change there is a change of the model.
    """

    def __init__(self, model: WaveNet) -> None:
        named = sorted(model.named_parameters(), key=lambda item: item[0])
        self._model = model
        self.names = [name for name, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self.values = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])
        self._attach()

    def _attach(self) -> None:
        for parameter, view in zip(self.parameters, self._views(self.values), strict=True):
            parameter.data = view

    def _views(self, vector: Tensor) -> list[Tensor]:
        pieces = torch.split(vector, [parameter.numel() for parameter in self.parameters])
        return [piece.view(parameter.shape) for piece, parameter in zip(pieces, self.parameters, strict=True)]

    def gradient(self, loss: Tensor) -> Tensor:
        """(N,) gradient of the scalar ``loss``; a parameter that the loss does not reach has gradient 0."""
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        pieces = [
            torch.zeros(parameter.numel()) if gradient is None else gradient.reshape(-1)
            for parameter, gradient in zip(self.parameters, gradients, strict=True)
        ]
        return torch.cat(pieces)

    def arrays_of(self, vector: Tensor) -> Arrays:
        """``vector`` (N,) under the names and shapes in which the model saves its weights."""
        return {name: view.numpy().copy() for name, view in zip(self.names, self._views(vector), strict=True)}

    def vector_of(self, arrays: Arrays) -> Tensor:
        """The inverse of `arrays_of`.

        Raises:
            MismatchError: names or shapes are not those of the model.
        """
        current = self.values.clone()
        self._model.load_arrays(arrays)
        vector = self.values.clone()
        self.values.copy_(current)
        return vector
