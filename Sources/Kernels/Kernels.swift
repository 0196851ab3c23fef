// placeholder: the Kernels layer
