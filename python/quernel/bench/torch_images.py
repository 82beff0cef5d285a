"""PyTorch's twins of convolutions, pooling and batch normalization, contiguous and channels_last.

A twin is (setting, call): a function without arguments that does the same work on PyTorch's own tensors. Gradients are called
through aten, without the tape around them; the Keras padding "same" of a strided case, which PyTorch lacks, becomes the symmetric
padding with as many outputs.
"""


class Images:
    """NHWC arrays as PyTorch's NCHW tensors in one memory format."""

    def __init__(self, torch, channels_last):
        self.torch = torch
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.setting = "channels_last" if channels_last else "contiguous"

    def image(self, a):
        return self._laid(self.torch.from_numpy(a).permute(0, 3, 1, 2))

    def filters(self, w):
        """HWIO as OIHW."""
        return self._laid(self.torch.from_numpy(w).permute(3, 2, 0, 1))

    def channel_filters(self, w):
        """HWCM as (CM)1HW."""
        h, width, c, m = w.shape
        return self._laid(self.torch.from_numpy(w).permute(2, 3, 0, 1).reshape(c * m, 1, h, width))

    def zeros(self, shape):
        n, h, w, c = shape
        return self._laid(self.torch.zeros((n, c, h, w)))

    def _laid(self, tensor):
        return tensor.clone(memory_format=self.format)


def _two(value):
    return [value, value] if isinstance(value, int) else list(value)


def window(sizes, attrs):
    """(strides, padding, dilation) of a convolution with kernel `sizes`."""
    strides, dilation = _two(attrs.get("strides", 1)), _two(attrs.get("dilation_rate", 1))
    same = attrs.get("padding", "valid") == "same"
    return strides, [(k - 1) * d // 2 if same else 0 for k, d in zip(sizes, dilation)], dilation


def forward(torch, case, arrays, layout):
    """conv_forward and depthwise_conv_forward."""
    x, w, b = arrays
    deep = case.op.startswith("depthwise")
    strides, padding, dilation = window(w.shape[:2], case.attrs)
    groups = x.shape[-1] if deep else case.attrs.get("groups", 1)
    image, filters = layout.image(x), layout.channel_filters(w) if deep else layout.filters(w)
    bias = None if b is None else torch.from_numpy(b)
    conv = torch.nn.functional.conv2d
    if case.attrs.get("activation") == "relu":
        return lambda: torch.relu_(conv(image, filters, bias, strides, padding, dilation, groups))
    return lambda: conv(image, filters, bias, strides, padding, dilation, groups)


def fused(torch, case, arrays):
    """conv_forward through oneDNN's fused op with reordered weights, what torch.compile's freezing calls."""
    x, w, b = arrays
    layout = Images(torch, True)
    deep = case.op.startswith("depthwise")
    strides, padding, dilation = window(w.shape[:2], case.attrs)
    groups = x.shape[-1] if deep else case.attrs.get("groups", 1)
    image, filters = layout.image(x), layout.channel_filters(w) if deep else layout.filters(w)
    bias = None if b is None else torch.from_numpy(b)
    filters = torch.ops.mkldnn._reorder_convolution_weight(
        filters, padding, strides, dilation, groups, list(image.shape)
    )
    after = case.attrs.get("activation") or "none"
    conv = torch.ops.mkldnn._convolution_pointwise
    return lambda: conv(image, filters, bias, padding, strides, dilation, groups, after, [], "")


def backward(torch, case, arrays, layout):
    """The dx and dw of convolutions."""
    deep, dx = case.op.startswith("depthwise"), case.op.endswith("dx")
    if dx:
        dy, w = arrays
        shape = case.attrs["input_shape"]
        image, kernel = layout.zeros(shape), w
    else:
        x, dy = arrays
        shape, image = x.shape, layout.image(x)
        kernel = torch.zeros(case.attrs["kernel_shape"]).numpy()
    strides, padding, dilation = window(kernel.shape[:2], case.attrs)
    groups = shape[-1] if deep else case.attrs.get("groups", 1)
    filters = layout.channel_filters(kernel) if deep else layout.filters(kernel)
    slope = layout.image(dy)
    gradient, which = torch.ops.aten.convolution_backward, [dx, not dx, False]
    call = lambda: gradient(  # noqa: E731
        slope, image, filters, None, strides, padding, dilation, False, [0, 0], groups, which
    )
    return lambda: call()[0 if dx else 1]


def pooling(torch, case, arrays, layout):
    """max_pool and average_pool, and their gradients."""
    aten = torch.ops.aten
    size = _two(case.attrs["pool_size"])
    strides = _two(case.attrs.get("strides") or size)
    padding = [k // 2 if case.attrs.get("padding", "valid") == "same" else 0 for k in size]
    if case.op == "max_pool":
        x = layout.image(arrays[0])
        return lambda: torch.nn.functional.max_pool2d(x, size, strides, padding)
    if case.op == "average_pool":
        x = layout.image(arrays[0])
        return lambda: torch.nn.functional.avg_pool2d(x, size, strides, padding, count_include_pad=False)
    dy = layout.image(arrays[0])
    if case.op == "average_pool_dx":
        x = layout.zeros(case.attrs["input_shape"])
        return lambda: aten.avg_pool2d_backward(dy, x, size, strides, padding, False, False, None)
    x = layout.image(arrays[1])
    _, at = aten.max_pool2d_with_indices(x, size, strides, padding)
    return lambda: aten.max_pool2d_with_indices_backward(dy, x, size, strides, padding, [1, 1], False, at)


def whole_pooling(torch, case, arrays, layout):
    """global_average_pool, its gradient, and global_max_pool."""
    if case.op == "global_average_pool_dx":
        n, h, w, c = case.attrs["input_shape"]
        dy = torch.from_numpy(arrays[0])[:, :, None, None]
        return lambda: torch.div(dy, h * w).expand(n, c, h, w).clone(memory_format=layout.format)
    x = layout.image(arrays[0])
    return (lambda: x.mean((2, 3))) if case.op == "global_average_pool" else (lambda: x.amax((2, 3)))


def norm(torch, case, arrays, layout):
    """Batch normalization of images or rows."""
    epsilon = case.attrs.get("epsilon", 1e-3)

    def tensor(a):
        return layout.image(a) if a.ndim == 4 else torch.from_numpy(a)

    batch_norm = torch.nn.functional.batch_norm
    if case.op == "batch_norm_train":
        x, gamma, beta = map(tensor, arrays)
        return lambda: batch_norm(x, None, None, gamma, beta, training=True, eps=epsilon)
    if case.op == "batch_norm_inference":
        x, mean, variance, gamma, beta = map(tensor, arrays)
        return lambda: batch_norm(x, mean, variance, gamma, beta, training=False, eps=epsilon)
    dy, x, mean, variance, gamma = map(tensor, arrays)
    steep, gradient = torch.rsqrt(variance + epsilon), torch.ops.aten.native_batch_norm_backward
    return lambda: gradient(dy, x, gamma, None, None, mean, steep, True, epsilon, [True, True, True])


def image_calls(torch, case, arrays):
    """[(setting, call)] of an op on images, or []."""
    op = case.op
    if op.endswith(("conv_forward",)):
        make = forward
    elif op.endswith(("conv_dx", "conv_dw")):
        make = backward
    elif op in ("max_pool", "max_pool_dx", "average_pool", "average_pool_dx"):
        make = pooling
    elif op in ("global_average_pool", "global_average_pool_dx", "global_max_pool"):
        make = whole_pooling
    elif op.startswith("batch_norm"):
        make = norm
    else:
        return []
    layouts = [Images(torch, True)]
    if "input_shape" in case.attrs or any(a is not None and a.ndim == 4 for a in arrays):
        layouts.append(Images(torch, False))
    return [(layout.setting, make(torch, case, arrays, layout)) for layout in layouts]
