// placeholder: the Safetensors layer
