// placeholder: the GGUF layer
